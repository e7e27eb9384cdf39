// What SMTP clients of a real Postfix see when the postmaster ends a session, or the daemon.

import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import type { ControlRequest, ControlResults } from '../../../src/daemon/control/protocol.ts'
import { startHost } from '../harness/host.ts'
import { requirePrograms, smtp, startPostfix, until } from '../harness/index.ts'

const tarpit = definePlugin({
  name: 'tarpit',
  setup: () => ({
    async rcpt(event) {
      if (event.recipient.local === 'slow') await event.hold(120)
    },
  }),
})

requirePrograms('postfix')('behind Postfix', () => {
  test('a session that is killed is told 421 and dropped, held or idle, and its neighbour goes on', async () => {
    const host = await startHost({ filters: [tarpit()], liveness: 'off' })
    const postfix = await startPostfix({ milters: [host.address] })
    const [held, idle, other] = await Promise.all([smtp(postfix.port), smtp(postfix.port), smtp(postfix.port)])
    for (const client of [held, idle, other]) await client.command('EHLO client.example')
    await held.command('MAIL FROM:<a@example.com>')
    const answer = held.command('RCPT TO:<slow@example.net>')
    const ask = async <R extends ControlRequest>(request: R): Promise<ControlResults[R['do']]> => {
      const { result, close } = await askControl(host.control, request)
      close()
      return result
    }
    const [waiting, first] = await until('all are there', async () => {
      const { sessions } = await ask({ do: 'sessions', limit: 10 })
      return sessions.length === 3 && sessions[0]?.waits?.held === true && sessions
    })
    expect(await ask({ do: 'kill', session: waiting!.id })).toMatchObject({ ends: 'now' })
    expect(await ask({ do: 'kill', session: first!.id })).toMatchObject({ ends: 'at-next-command' })
    expect((await answer).text).toMatch(/^421 4\.3\.2 /)
    await held.closed
    const replies = await Promise.all([idle, other].map(client => client.command('MAIL FROM:<b@example.com>')))
    expect(replies.map(({ code }) => code).sort()).toEqual([250, 421])
    await (replies[0]!.code === 421 ? idle : other).closed
  })

  test('the end of the daemon is not held up by sessions that say nothing; one that speaks is told 421', async () => {
    const host = await startHost({ filters: [tarpit()] })
    const postfix = await startPostfix({ milters: [host.address] })
    const [silent, speaking] = await Promise.all([smtp(postfix.port), smtp(postfix.port)])
    for (const client of [silent, speaking]) await client.command('EHLO client.example')
    const began = performance.now()
    const drained = host.daemon.drain(25_000)
    expect((await speaking.command('MAIL FROM:<a@example.com>')).text).toMatch(/^421 4\.3\.2 /)
    await drained
    // It was 25 s for as long as such a session was waited for.
    expect(performance.now() - began).toBeLessThan(20_000)
    expect((await silent.command('MAIL FROM:<a@example.com>')).text).toMatch(/^4[25]1 4\.7\.1 /)
  })
})
