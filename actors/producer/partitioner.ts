/**
 * Kafka's own partitioning by key, remembered: kafkajs computes its hash with 64-bit objects, which
 * costs more than all else about a record, and there are only some thousand students.
 */
import kafkajs, { type ICustomPartitioner } from 'kafkajs'

const REMEMBERED_MAX = 50_000

export const rememberingPartitioner: ICustomPartitioner = () => {
  const byHash = kafkajs.Partitioners.DefaultPartitioner()
  const known = new Map<string, number>()
  let partitions = 0
  return (args) => {
    const { message, partitionMetadata } = args
    if (typeof message.key !== 'string' || message.partition !== undefined) return byHash(args)
    if (partitionMetadata.length !== partitions || known.size >= REMEMBERED_MAX) known.clear()
    partitions = partitionMetadata.length
    let partition = known.get(message.key)
    if (partition === undefined) {
      partition = byHash(args)
      known.set(message.key, partition)
    }
    return partition
  }
}
