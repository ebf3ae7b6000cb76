// The API page: Swagger UI of /openapi.json, with the token and the theme that the page of rooms keeps.

const token = sessionStorage.getItem('roomcast.token') ?? localStorage.getItem('roomcast.token');
const theme = localStorage.getItem('roomcast.theme') ?? '';
const dark = theme.includes('dark') || (!theme.includes('light') && matchMedia('(prefers-color-scheme: dark)').matches);
document.documentElement.classList.toggle('dark-mode', dark);
document.documentElement.style.colorScheme = dark ? 'dark' : 'light';

const ui = globalThis.SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#api',
  deepLinking: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  onComplete: () => {
    if (token) ui.preauthorizeApiKey('bearer', token);
    for (const { id, dataset } of document.querySelectorAll('.opblock-tag')) {
      const link = document.createElement('a');
      Object.assign(link, { href: `#${id}`, textContent: dataset.tag });
      document.getElementById('sections').append(link);
    }
  },
});
