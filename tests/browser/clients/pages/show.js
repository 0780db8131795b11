// What every page here shares: where the gateway is, the token of the shop's backend, and the view of a job.
const { gateway, token } = Object.fromEntries(new URLSearchParams(location.search));
const headers = { Authorization: `Bearer ${token}` };
const output = document.querySelector("output");

/** Follow a job until it has ended, and show its preview. Both need the view token that came with the job. */
function show({ task_id, view_token }) {
  const events = new EventSource(`${gateway}/task-status/${task_id}/events?token=${view_token}`);
  events.addEventListener("job", ({ data }) => {
    const job = JSON.parse(data);
    if (job.finished_at) events.close();
    if (job.status === "done") {
      document.querySelector("#preview").src = `${gateway}/result/${task_id}/medium?token=${view_token}`;
    }
    output.textContent = `${task_id} ${job.status}`;
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) fail("no events");
  });
}

/** Say why there is no job. */
function fail(error) {
  output.textContent = `failed: ${error}`;
}
