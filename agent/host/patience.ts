// Waiting for what answers at once on a healthy host.

/** A driver or a disk that takes longer than this is ill, and the sample goes without it. */
const PATIENCE_MS = 1000;

/** The answer, or undefined when it has not come in time; the work itself goes on. */
export async function inTime<Answer>(work: Promise<Answer>): Promise<Answer | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
