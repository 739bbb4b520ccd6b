/**
 * Seven deliberate bugs, each a change of the source in a copy of the tree. They are the classic ways
 * in which a pipeline of this kind loses or repeats records; a ladder that lets one of them pass
 * proves nothing.
 */

export interface Edit {
  file: string
  /** Must stand exactly once in the file, so that a bug can't silently become none. */
  find: string
  put: string
}

export interface Bug {
  name: string
  /** What is broken, and what becomes of it. */
  title: string
  edits: Edit[]
}

const COMMIT_CALL = "const commit = () => writer.call('commit', keys.base, args)"
const OWNERSHIP = 'if not own[slice.id] or from ~= slice.from then'

/** Acknowledgement as a call of its own, which is what commit exists to avoid. */
const acknowledge: Edit = {
  file: 'actors/executor/commit.lua',
  find: '-- commit: everything that a set of entries does, or nothing of it.',
  put: `register('acknowledge', function(keys, args)
  for _, id in ipairs(args) do
    redis.call('XACK', key(keys[1], 'entries'), GROUP, id)
    redis.call('XDEL', key(keys[1], 'entries'), id)
  end
  return 1
end, { 'allow-oom' })
`,
}
/** Of the batch's entries that it finishes. */
const ACKNOWLEDGE = `await this.#patience.throughOutages(() =>
        writer.call(
          'acknowledge' as never,
          keys.base,
          batch.slices.flatMap(({ done, entry }) => (done ? [entry.id] : [])),
        ),
      )`

export const bugs: Bug[] = [
  {
    name: 'no-ownership',
    title: 'a commit does not ask who owns the entry: a zombie counts its records a second time',
    edits: [
      {
        file: 'actors/executor/commit.lua',
        find: OWNERSHIP,
        put: 'if false then',
      },
    ],
  },
  {
    name: 'ledger-greater',
    title: 'the ledger takes any greater offset: after a rollback of Redis the bridge leaves a gap',
    edits: [
      {
        file: 'actors/bridge/append.lua',
        find: 'if current ~= part.expected then',
        put: 'if not current or tonumber(part.next) <= tonumber(current) then',
      },
    ],
  },
  {
    name: 'ack-first',
    title: 'entries are acknowledged before they are applied: who dies in between loses them',
    edits: [
      acknowledge,
      {
        file: 'actors/executor/committer.ts',
        find: COMMIT_CALL,
        put: `${ACKNOWLEDGE}\n      ${COMMIT_CALL}`,
      },
      { file: 'actors/executor/commit.lua', find: OWNERSHIP, put: 'if false then' },
    ],
  },
  {
    name: 'ack-later',
    title: 'entries are acknowledged in another call than they are applied: a death repeats them',
    edits: [
      acknowledge,
      {
        file: 'actors/executor/commit.lua',
        find: `  redis.call('XACK', entries, GROUP, unpack(ids))
  redis.call('XDEL', entries, unpack(ids))
  redis.call('UNLINK', unpack(payloads))
`,
        put: '',
      },
      {
        file: 'actors/executor/committer.ts',
        find: `        case 'ok':
          this.#settle(batch)`,
        put: `        case 'ok':
          ${ACKNOWLEDGE}
          this.#settle(batch)`,
      },
    ],
  },
  {
    name: 'watermark-over-gaps',
    title:
      'the watermark follows whatever is finished, not the prefix without gaps: records come late',
    edits: [
      {
        file: 'actors/functions/keys.lua',
        find: `    prefixes.hasAhead = true
`,
        put: `    prefixes.hasAhead = true
    if tonumber(max) and (not prefix.highest or tonumber(max) > prefix.highest) then
      prefix.highest, prefix.isRaised = tonumber(max), true
    end
`,
      },
    ],
  },
  {
    name: 'closed-twice',
    title: 'a window that was closed is closed again',
    edits: [
      {
        file: 'actors/windows/advance.lua',
        find: `  if last then
    redis.call('HDEL', clock`,
        put: `  if last and #rows > 1 then
    redis.call('XADD', key(base, 'closed'), 'MAXLEN', '~', shape.closedKept, '*',
      'start', int(shape.closing - shape.size), 'end', int(shape.closing),
      'rows', table.concat(rows), 'last', '1')
  end
  if last then
    redis.call('HDEL', clock`,
      },
    ],
  },
  {
    name: 'delconsumer',
    title: 'a dead consumer is deleted with its pending entries, which nobody gets then',
    edits: [
      {
        file: 'actors/functions/lifecycle.lua',
        find: 'if consumer.name == id and consumer.pending == 0 then',
        put: 'if consumer.name == id then',
      },
      {
        file: 'actors/executor/commit.lua',
        find: 'if consumer.pending <= #pending then',
        put: 'if true then',
      },
      { file: 'actors/executor/commit.lua', find: 'if #rest == 0 then', put: 'if true then' },
    ],
  },
]
