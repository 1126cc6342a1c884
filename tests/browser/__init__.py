"""The pages as people use them, in a real Chromium, over the local engine."""

import pytest

pytest.register_assert_rewrite("tests.browser.console")
