// A plugin beside the configuration of an installed milterhost: says in the log what its daemon may do on that machine, and takes its time
// where a message asks for it. Copied to /etc/milterhost by installing.test.ts.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { definePlugin, type Plugin } from 'milterhost/plugin'

const outcome = (act: () => unknown): string => {
  try {
    act()
    return 'done'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message
  }
}

const write = (path: string): string => outcome(() => writeFileSync(path, 'x'))

const listen = (port: number): Promise<string> =>
  new Promise(done => {
    const server = net.createServer()
    server.once('error', error => done((error as NodeJS.ErrnoException).code ?? error.message))
    server.listen(port, '127.0.0.1', () => server.close(() => done('done')))
  })

const probe: Plugin = definePlugin({
  name: 'probe',
  async setup(host) {
    const may = {
      state: write('/var/lib/milterhost/probe'),
      runtime: write('/run/milterhost/probe'),
      temporary: write('/tmp/probe'),
      configuration: write('/etc/milterhost/written'),
      programs: write('/usr/written'),
      kernel: write('/proc/sys/kernel/hostname'),
      homes: outcome(() => readdirSync('/home/you')),
      connections: outcome(() => readFileSync('/proc/self/net/tcp')),
      processes: outcome(() => readFileSync('/proc/1/status')),
      namespaces: outcome(() => execFileSync('unshare', ['--user', 'true'], { stdio: 'pipe' })).includes(
        'not permitted',
      ),
      lowPort: await listen(587),
    }
    host.log.info({ may: JSON.stringify(may) }, 'what the daemon may do')
    host.log.warn({}, 'a warning of a plugin')
    host.log.error({}, 'an error of a plugin')
    return {
      async rcpt(event) {
        if (event.recipient.local.endsWith('+held')) await event.hold(60)
      },
      async end(event) {
        let bytes = 0
        for await (const piece of event.body()) bytes += piece.length
        if (event.header('X-Slowly') !== undefined) {
          host.log.info({}, 'at work on a message')
          await new Promise(done => setTimeout(done, 3_000))
        }
        event.edit.prependHeader('X-Probe', String(bytes))
      },
    }
  },
})

export default probe
