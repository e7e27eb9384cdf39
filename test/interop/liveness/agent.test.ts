// `milterhost liveness-agent` as a postmaster runs it, in a process of its own, and a host that asks it about real Postfix's clients.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agent, type LivenessSource } from 'milterhost'
import { definePlugin } from 'milterhost/plugin'
import { expect, test } from 'vitest'
import { selfSigned } from '../../bridge/mta/support/certificate.ts'
import { type Running, start } from '../../cli/support.ts'
import { type RunningHost, startHost } from '../harness/host.ts'
import {
  freePort,
  requirePrograms,
  type SmtpClient,
  sleep,
  smtp,
  startPostfix,
  tempDir,
  until,
} from '../harness/index.ts'

const TOKEN = 'a token of the test alone'
/** Seconds that a client who stays is made to wait. */
const WAIT = 12
/** Longer than any test: after a failure it is asked again later and later, up to half a minute. */
const LONG = 120

/** Makes every client wait at RCPT, for the seconds that the local part says. */
const wait = definePlugin({
  name: 'wait',
  setup: () => ({
    async rcpt(event) {
      await event.hold(Number(event.recipient.local))
    },
  }),
})

interface Scene {
  host: RunningHost
  /** One more client, who waits from now on. */
  waiting(seconds?: number): Promise<SmtpClient>
}

async function scene(liveness: LivenessSource): Promise<Scene> {
  const host = await startHost({ liveness, filters: [wait()] })
  const mta = await startPostfix({ milters: [host.address] })
  return {
    host,
    async waiting(seconds = WAIT) {
      const client = await smtp(mta.port)
      await client.command('EHLO client.example')
      await client.command('MAIL FROM:<alice@example.com>')
      client.send(`RCPT TO:<${seconds}@example.com>`)
      return client
    },
  }
}

/** Starts the agent in a folder with its token. */
async function startAgent(folder: string, listen: string, ...more: string[]): Promise<Running> {
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`, { mode: 0o600 })
  const running = start(['liveness-agent', '--listen', listen, '--token-file', 'token', ...more], folder)
  await running.until('listens on')
  return running
}

const left = (host: RunningHost): number => host.eventsOf('client-left').length
const failures = (host: RunningHost): string[] => host.complaints.filter(line => line.includes('LIVENESS_FAILED'))

requirePrograms('postfix', 'openssl')('a liveness agent beside Postfix', () => {
  test('over TLS: a client that leaves is noticed, one that stays is let go on', async () => {
    const folder = tempDir('agent')
    const { cert, key } = selfSigned(folder, 'mx1.test')
    const port = await freePort()
    await startAgent(folder, `inet:${port}@127.0.0.1`, '--cert', cert, '--key', key)
    const { host, waiting } = await scene(
      agent(`inet:${port}@127.0.0.1`, { token: TOKEN, ca: readFileSync(cert), servername: 'mx1.test' }),
    )
    const [goes, stays] = [await waiting(), await waiting()]
    await sleep(2)
    goes.abortFin()
    await host.waitFor('the client that left is noticed', () => left(host) === 1)
    expect((await stays.read(WAIT + 10)).code).toBe(250)
    expect(left(host)).toBe(1)
    expect(host.complaints).toEqual([])
  })

  test('killed while clients wait: nobody is gone for that; started again, it tells who is', async () => {
    const folder = tempDir('agent')
    const path = join(folder, 'agent.sock')
    const first = await startAgent(folder, `unix:${path}`)
    const { host, waiting } = await scene(agent(`unix:${path}`, { token: TOKEN }))
    const [goes, stays] = [await waiting(LONG), await waiting(LONG)]
    await sleep(2)
    first.process.kill('SIGKILL')
    await first.ended
    await host.waitFor('the failure is told', () => failures(host).length === 1)
    goes.abortFin()
    await sleep(2)
    expect(left(host)).toBe(0)
    await startAgent(folder, `unix:${path}`)
    await host.waitFor('the client that left is noticed', () => left(host) > 0, 60)
    await sleep(2)
    expect(left(host)).toBe(1)
    stays.abortRst()
    await host.waitFor('so is the other one, now that it leaves', () => left(host) === 2)
    expect(failures(host)).toHaveLength(1)
  })

  test('with a wrong token, nobody is gone, and both sides say why', async () => {
    const folder = tempDir('agent')
    const path = join(folder, 'agent.sock')
    const running = await startAgent(folder, `unix:${path}`)
    const { host, waiting } = await scene(agent(`unix:${path}`, { token: 'a token of somebody else' }))
    const [goes, stays] = [await waiting(), await waiting()]
    await until('the failure is told', () => failures(host).length > 0)
    expect(failures(host)[0]).toContain('the agent does not know this token')
    await running.until('its token is wrong')
    goes.abortFin()
    expect((await stays.read(WAIT + 10)).code).toBe(250)
    expect(left(host)).toBe(0)
  })
})
