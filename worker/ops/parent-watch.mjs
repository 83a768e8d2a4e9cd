// Preloaded into every process that `npm start` starts: when the starter is gone, however it died, its pipe closes and this
// process ends too. A SIGTERM to oneself gives the program its usual orderly way out; after that nobody asks any more.
const GRACE_MS = 4000;

process.on("disconnect", () => {
  setTimeout(() => endGroup(), GRACE_MS).unref();
  process.kill(process.pid, "SIGTERM");
});

/** The starter makes each of its children the leader of a process group, so that the group's id is the child's pid. */
function endGroup() {
  if (process.platform === "win32") process.exit(1);
  process.kill(-process.pid, "SIGKILL");
}
