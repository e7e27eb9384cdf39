// Mail that flows while something else happens: several clients at once, two messages a session, until it is told to stop. It wants
// every reply to be a plain yes; anything else is kept in `trouble`.

import { smtp } from '../harness/index.ts'

export interface Flow {
  /** Messages that got their 250. */
  readonly accepted: () => number
  /** Replies that were none of 220, 250, 354 and 221, and connections that broke. */
  readonly trouble: readonly string[]
  /** Lets sessions that run come to their end. */
  stop(): Promise<void>
}

export interface FlowOptions {
  readonly clients?: number
  /** Where Postfix is to believe that they come from. */
  readonly address?: string
}

export function flow(port: number, { clients = 5, address }: FlowOptions = {}): Flow {
  const trouble: string[] = []
  let accepted = 0
  let stopping = false
  const session = async (client: number, count: number): Promise<void> => {
    const connection = await smtp(port)
    if (address !== undefined) await connection.command(`XCLIENT ADDR=${address} NAME=mx.example.com`)
    for (const half of [1, 2]) {
      const data = `Subject: ${client}.${count}.${half}\r\nFrom: <a@example.com>\r\n\r\nhello\r\n`
      const { last, end } = await connection.mail({ from: 'a@example.com', to: 'b@example.net', data })
      if (end?.code === 250) accepted++
      else trouble.push(last.text)
    }
    await connection.quit()
  }
  const running = Array.from({ length: clients }, async (_, client) => {
    for (let count = 0; !stopping; count++) {
      try {
        await session(client, count)
      } catch (error) {
        trouble.push(String(error))
      }
    }
  })
  return {
    accepted: () => accepted,
    trouble,
    async stop() {
      stopping = true
      await Promise.all(running)
    },
  }
}
