// The API page: Swagger UI over our own description, and only over this service.

const viewer = document.getElementById("viewer");

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches); // Swagger UI's own dark colours
}

function say(sentence) {
  const words = document.createElement("p");
  words.className = "wait";
  words.setAttribute("role", "alert");
  words.textContent = sentence;
  viewer.replaceChildren(words);
}

async function start() {
  const base = new URL("./", document.baseURI);
  base.hash = base.search = "";
  const answer = await fetch(new URL("openapi.json", base), { credentials: "omit" });
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  const spec = await answer.json();
  // Where this page is, with the path of the stage on AWS: what is tried goes there and nowhere else.
  spec.servers = [{ url: base.href.replace(/\/$/, ""), description: "This service" }];
  window.SwaggerUIBundle({
    spec,
    domNode: viewer,
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    validatorUrl: null,
    presets: [window.SwaggerUIBundle.presets.apis],
    requestInterceptor: (request) => {
      if (!new URL(request.url, base).href.startsWith(base.href)) {
        throw new Error("This page calls only its own service.");
      }
      return request;
    },
  });
}

follow();
dark.addEventListener("change", follow);
start().catch((error) => {
  say(`The description of the API could not be loaded (${error.message}). Reload to try again.`);
});
