/**
 * The thread that reads the kernel's table of connections: a read of 10,000 connections takes tens of milliseconds, which is time
 * that no event loop has. It is the entry of a worker thread and imported by nobody; `proc.ts` starts it and speaks to it.
 *
 * A row may be overlooked while others come and go between two reads of the kernel's buffer, so a connection that was there
 * before is missing only when a second reading misses it too.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { findRows, ROW, type Wanted, type WantedIn } from './socket-table.ts'
import { NEW, type TableAnswer, type TableQuestion } from './table-question.ts'

const FILES = { tcp: '/proc/self/net/tcp', tcp6: '/proc/self/net/tcp6' } as const

let buffer = Buffer.alloc(256 * 1024)

function tableText(path: string): string {
  let length = 0
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    // A kernel without IPv6 has no tcp6.
    if (path === FILES.tcp6 && (error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
  try {
    for (;;) {
      if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2)
      const read = readSync(file, buffer, length, buffer.length - length, null)
      if (read === 0) return buffer.toString('latin1', 0, length)
      length += read
    }
  } finally {
    closeSync(file)
  }
}

interface Found {
  readonly states: Uint8Array<ArrayBuffer>
  readonly inodes: Float64Array<ArrayBuffer>
  readonly unread: Uint8Array<ArrayBuffer>
}

/** Fills in those of `which` that are in a table. */
function look(rows: readonly WantedIn[], which: readonly number[], { states, inodes, unread }: Found): void {
  for (const table of ['tcp', 'tcp6'] as const) {
    const wanted = new Map<string, [number, Wanted][]>()
    for (const index of which) {
      const row = rows[index]![table]
      if (row === null || states[index] !== ROW.missing) continue
      const same = wanted.get(row.client)
      if (same === undefined) wanted.set(row.client, [[index, row]])
      else same.push([index, row])
    }
    if (wanted.size === 0) continue
    findRows(tableText(FILES[table]), wanted, (index, state, inode, hasUnread) => {
      states[index] = state
      inodes[index] = inode
      unread[index] = hasUnread ? 1 : 0
    })
  }
}

let before: readonly WantedIn[] = []

function answer({ places, fresh, seen }: TableQuestion): Found {
  let next = 0
  const rows = Array.from(places, place => (place === NEW ? fresh[next++]! : before[place]!))
  before = rows
  const found = {
    states: new Uint8Array(rows.length),
    inodes: new Float64Array(rows.length),
    unread: new Uint8Array(rows.length),
  }
  look(rows, [...rows.keys()], found)
  const missing = [...rows.keys()].filter(index => found.states[index] === ROW.missing && seen[index] === 1)
  if (missing.length > 0) look(rows, missing, found)
  return found
}

parentPort?.on('message', (question: TableQuestion) => {
  const { id } = question
  try {
    const before = process.threadCpuUsage()
    const found = answer(question)
    const { user, system } = process.threadCpuUsage(before)
    const cost = (user + system) / 1000
    parentPort?.postMessage({ id, ...found, cost } satisfies TableAnswer, [
      found.states.buffer,
      found.inodes.buffer,
      found.unread.buffer,
    ])
  } catch (error) {
    const told: TableAnswer = { id, error: error instanceof Error ? error.message : String(error) }
    parentPort?.postMessage(told)
  }
})
