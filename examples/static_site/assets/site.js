// Shows which version of the API answers, so that a rollout can be watched from a browser.
fetch("/health")
  .then((answer) => answer.json())
  .then((health) => { document.getElementById("version").textContent = health.version; })
  .catch(() => { document.getElementById("version").textContent = "nothing"; });
