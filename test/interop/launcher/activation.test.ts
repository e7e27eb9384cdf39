// Sockets of systemd's on their way through the launcher to milterhost, which is nobody and is told of them by no process id.

import { spawn } from 'node:child_process'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import { asRootForOthers, folder, inspect } from '../../bridge/launch/places.ts'
import { freePort, mtaClient, onCleanup, requirePrograms, until } from '../harness/index.ts'

const BIN = resolve(import.meta.dirname, '../../../bin')
const NOBODY = 65534

requirePrograms('systemd')('with systemd', () => {
  asRootForOthers('the launcher', () => {
    test('hands the sockets that it was given on to milterhost, which listens there and not where its configuration says', async () => {
      const place = folder()
      const own = join(place, 'own')
      mkdirSync(own)
      chownSync(own, NOBODY, NOBODY)
      const [port, unused] = [await freePort(), await freePort()]
      writeFileSync(join(place, 'launch.json'), '{}', { mode: 0o644 })
      const config = join(place, 'milterhost.config.mjs')
      writeFileSync(config, `export default { listen: 'inet:${unused}@127.0.0.1' }\n`)
      const env = { RUNTIME_DIRECTORY: own, STATE_DIRECTORY: own, JOURNAL_STREAM: '' }
      const given = Object.entries(env).flatMap(([name, value]) => ['-E', `${name}=${value}`])
      const launcher = [join(BIN, 'milterhost-launcher.mjs'), '--file', join(place, 'launch.json'), '--user', 'nobody']
      const host = [process.execPath, join(BIN, 'milterhost.mjs'), 'run', '--config', config]
      const args = ['-l', `127.0.0.1:${port}`, ...given, '-E', 'PATH', process.execPath, ...launcher, '--', ...host]
      const child = spawn('systemd-socket-activate', args, { cwd: place, stdio: ['ignore', 'pipe', 'pipe'] })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (said += text))
      const ended = new Promise(done => child.once('exit', code => done(code)))
      onCleanup(async () => {
        child.kill('SIGKILL')
        await ended
      })
      await until('systemd listens', () => said.includes('Listening on'))
      // Started by the first connection, which is not lost.
      const mta = await mtaClient(`inet:127.0.0.1:${port}`)
      expect((await mta.negotiate()).version).toBe(6)
      await mta.quit()
      await until('it is ready', () => said.includes('"ready"'))
      const { result, close } = await askControl(join(own, 'control.sock'), { do: 'status' })
      close()
      expect(result).toMatchObject({ listen: [`inet:${port}@127.0.0.1`] })
      expect(inspect(result.pid).status.get('Uid')).toMatch(/^65534\t/)
      child.kill('SIGTERM')
      expect(await ended, said).toBe(0)
    })
  })
})
