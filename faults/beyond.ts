/**
 * What the ladder does not play on one machine, and why; where something near it is played, which.
 */
export interface Beyond {
  title: string
  reason: string
}

export const beyond: readonly Beyond[] = [
  {
    title: 'power loss of the machine under Redis or Kafka',
    reason:
      'a killed process leaves what it wrote to the kernel; F14 (Redis rolled back) and F15 (its file ' +
      'torn) are what a power loss would leave',
  },
  {
    title: 'a Kafka cluster that loses a leader with unclean election, or brokers that disagree',
    reason: 'needs three brokers and a controller quorum; F27 and F32 are what a job sees of it',
  },
  {
    title: 'Redis Cluster or Sentinel moves the job to another node',
    reason: 'needs six servers; F17 (failover to a replica that lags) is what a job sees of it',
  },
  {
    title: 'a network that splits executors on several machines from each other',
    reason:
      'needs several machines; F07, F23 and F24 do to one executor or all of them what a split does',
  },
]
