"""The local engine as a process: crashes, stops and starts."""
