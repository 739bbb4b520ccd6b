/**
 * Runs in each child before its own code. The supervisor reads a child's stderr through a pipe; when
 * it is killed, the pipe breaks, and a write to it would end the child in the middle of its drain.
 */
process.stderr.on('error', () => {})
process.stdout.on('error', () => {})
