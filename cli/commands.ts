/**
 * The commands of `millrace`: one table, which dispatch, help, completion and the tests of README and
 * package.json read.
 */

export interface Listed {
  name: string
  /** One line for `millrace --help` and for completion. */
  about: string
  /** The file that is the command, from the project's root. */
  main: string
}

/** In the order in which a person comes to need them. */
export const commands: readonly Listed[] = [
  { name: 'demo', about: 'the pipeline from nothing, and its scaling', main: 'demo/main.ts' },
  { name: 'services', about: 'a real Kafka and Redis: up, down', main: 'services/main.ts' },
  { name: 'new', about: 'writes a job to begin with, and its test', main: 'scaffold/main.ts' },
  { name: 'doctor', about: 'whether a job could run here', main: 'doctor/main.ts' },
  {
    name: 'supervisor',
    about: 'runs a job: bridge, executors, page',
    main: 'supervisor/main.ts',
  },
  {
    name: 'producer',
    about: "the shipped job's records into Kafka",
    main: 'actors/producer/main.ts',
  },
  { name: 'status', about: 'what a job does now', main: 'status/main.ts' },
  { name: 'jobs', about: 'all jobs on this Redis; forgets stopped ones', main: 'status/jobs.ts' },
  { name: 'top', about: 'the same, live in the terminal', main: 'status/top.ts' },
  { name: 'why', about: 'why there are as many executors', main: 'supervisor/why.ts' },
  { name: 'verify', about: 'recomputes every window and compares', main: 'verify/main.ts' },
  { name: 'rejects', about: 'records not counted: list, replay, drop', main: 'rejects/main.ts' },
  { name: 'versions', about: 'versions of a job: compare, cut over', main: 'versions/main.ts' },
  { name: 'reshard', about: "how many parts a job's state has", main: 'reshard/main.ts' },
  { name: 'simulate', about: 'loads in virtual time, every policy', main: 'simulate/main.ts' },
  {
    name: 'capacity',
    about: 'what a load would take, by what was measured',
    main: 'simulate/capacity/main.ts',
  },
  { name: 'faults', about: 'breaks a pipeline on purpose, and checks', main: 'faults/main.ts' },
  { name: 'bench', about: 'how fast, beside Flink, Streams and Spark', main: 'bench/main.ts' },
  { name: 'executor', about: 'one executor by itself', main: 'actors/executor/main.ts' },
  { name: 'bridge', about: 'one bridge by itself', main: 'actors/bridge/main.ts' },
  { name: 'sinks', about: 'the sinks of a job by themselves', main: 'actors/sinks/main.ts' },
  { name: 'web', about: 'the page and the API by themselves', main: 'web/main.ts' },
  { name: 'screenshot', about: 'a picture of the page', main: 'demo/screenshot.ts' },
  { name: 'check', about: 'everything that must hold: all tests', main: 'tests/check.ts' },
  { name: 'completion', about: 'completion for bash, zsh or fish', main: 'cli/completion.ts' },
]
