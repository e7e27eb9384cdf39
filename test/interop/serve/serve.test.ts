/** A plugin served by itself: an ordinary milter to whoever connects, here the harness's MTA and real Postfix. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { definePlugin, reject } from 'milterhost/plugin'
import { serve } from 'milterhost/serve'
import { expect, test } from 'vitest'
import { freePort, onCleanup, requirePrograms, smtp, startPostfix, tempDir, until, within } from '../harness/index.ts'

const tag = definePlugin({
  name: 'tag',
  setup: () => ({
    rcpt: event => (event.recipient.local === 'nobody' ? reject('Not here', { enhanced: '5.1.1' }) : undefined),
    end: event => event.edit.prependHeader('X-Tag', 'served'),
  }),
})

const quiet = { signals: false, write: () => {} }

test('what is wrong is told before anything listens', async () => {
  await expect(serve([tag(), tag()], 'inet:0@127.0.0.1', quiet)).rejects.toThrow(
    'the name "tag" is taken by filters[0]',
  )
  await expect(serve(tag(), '127.0.0.1:9999', quiet)).rejects.toThrow('listen')
})

test('an address that is taken is told, and close frees it', async () => {
  const first = await serve(tag(), 'inet:0@127.0.0.1', quiet)
  await expect(serve(tag(), first.address, quiet)).rejects.toMatchObject({ code: 'LISTEN_IN_USE' })
  await first.close()
  await using again = await serve(tag(), first.address, quiet)
  expect(again.address).toBe(first.address)
})

requirePrograms('postfix')('behind Postfix', () => {
  test('a program of three lines is a milter, and SIGTERM ends it cleanly', { timeout: 120_000 }, async () => {
    const dir = tempDir('serve')
    const port = await freePort()
    const program = join(dir, 'milter.ts')
    writeFileSync(
      program,
      `import { definePlugin, reject } from 'milterhost/plugin'
import { serve } from 'milterhost/serve'
const tag = definePlugin({ name: 'tag', setup: () => ({
  rcpt: event => (event.recipient.local === 'nobody' ? reject('Not here', { enhanced: '5.1.1' }) : undefined),
  end: event => event.edit.prependHeader('X-Tag', 'served'),
}) })
await serve(tag(), 'inet:${port}@127.0.0.1')
`,
    )
    const names = resolve(import.meta.dirname, '../../../scripts/own-names.mjs')
    const milter = spawn(process.execPath, ['--import', names, program], { stdio: ['ignore', 'ignore', 'pipe'] })
    const kill = onCleanup(() => void milter.kill('SIGKILL'))
    let said = ''
    milter.stderr.setEncoding('utf8').on('data', text => (said += text))
    const ended = new Promise<number | null>(done => milter.on('close', done))
    await until(
      () => `the milter is ready, it said ${said}`,
      () => said.includes('ready'),
    )

    const postfix = await startPostfix({ milters: [`inet:127.0.0.1:${port}`] })
    const client = await smtp(postfix.port)
    const data = 'Subject: hi\r\n\r\nHello\r\n'
    const { rcpt, last } = await client.mail({
      from: 'a@example.com',
      to: ['nobody@example.net', 'b@example.net'],
      data,
    })
    await client.quit()
    expect(rcpt.map(({ text }) => text)).toEqual(['550 5.1.1 Not here\r\n', expect.stringContaining('250')])
    expect(last.code).toBe(250)
    const [delivered] = await postfix.waitForDeliveries(1)
    expect(delivered?.raw.toString('latin1')).toContain('X-Tag: served')

    milter.kill('SIGTERM')
    expect(await within(30, () => `the end, it said ${said}`, ended)).toBe(0)
    expect(said).toContain('ended')
    await kill()
  })
})
