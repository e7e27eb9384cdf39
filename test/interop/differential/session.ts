// One SMTP session by a script: every line is sent whatever was said to those before, the content only after a 354, and every reply
// is written down. Ends early when the server closes.

import { type Reply, smtp } from '../harness/index.ts'
import { masked, queueIdIn } from './attachments.ts'

/** A command line, or content for a 354. */
export type Line = string | { content: string }

export interface SessionLog {
  /** Commands and replies, masked. */
  transcript: string[]
  /** The last word on each message whose content was sent, in order, with its queue id if it was taken. */
  ended: { reply: string; id: string | undefined }[]
}

export async function session(port: number, client: string, lines: readonly Line[]): Promise<SessionLog> {
  const log: SessionLog = { transcript: [], ended: [] }
  const connection = await smtp(port, { localAddress: client, greeting: false })
  let last = 0
  let reply = ''
  const reading = async (coming: Promise<Reply>): Promise<boolean> => {
    try {
      const { code, text } = await coming
      last = code
      reply = text
      log.transcript.push(masked(text.trimEnd()))
      return true
    } catch (error) {
      // A wait without an end is no way of closing.
      if (!/closed|ECONNRESET|EPIPE/.test(String(error))) throw error
      log.transcript.push('closed')
      return false
    }
  }
  if (!(await reading(connection.read()))) return log
  for (const line of lines) {
    if (typeof line === 'string') {
      log.transcript.push(`> ${line}`)
      if (!(await reading(connection.command(line)))) return log
    } else if (last === 354) {
      log.transcript.push('> (content)')
      if (!(await reading(connection.content(line.content)))) return log
      log.ended.push({ reply, id: queueIdIn(reply) })
    }
  }
  connection.abortFin()
  return log
}

/** Runs so many at once and keeps their order. */
export async function together<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index] as T)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return results
}
