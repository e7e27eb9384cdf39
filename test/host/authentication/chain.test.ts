/** What filters contribute through the plugin API, and what the MTA is told of it. */
import { definePlugin, type Hooks, reject } from 'milterhost/plugin'
import { testConfig, testPlugin } from 'milterhost/testing'
import { describe, expect, it } from 'vitest'
import { needsOf } from '../../../src/host/needs.ts'
import { create } from '../plugin/harness.ts'

const contributor = (name: string, hooks: Hooks): ReturnType<ReturnType<typeof definePlugin>> =>
  definePlugin({ name, authResults: true, setup: () => hooks })()

const spf = contributor('spf', {
  mail: event =>
    event.authResult({ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': event.sender.address } }),
})
const dkim = contributor('dkim', {
  end: event => event.authResult({ method: 'DKIM', result: 'Fail', reason: 'it is; so' }),
})
const FORGED = 'Authentication-Results: mx.example.com; dkim=pass\r\n'
const message = `${FORGED}Subject: a\r\n${FORGED}Authentication-Results: elsewhere.example; spf=pass\r\n${FORGED}\r\nx\r\n`

describe('the results of a chain', () => {
  it('are one field on top, in the order of the chain, and forged ones of our name are gone', async () => {
    await using host = await testPlugin([dkim, spf])
    const { message: delivered } = await host.deliver({ from: 'ann@example.org', message })
    expect(delivered?.headers).toEqual([
      {
        name: 'Authentication-Results',
        value: 'mx.example.com;\n\tdkim=fail reason="it is; so";\n\tspf=pass smtp.mailfrom=ann@example.org',
      },
      { name: 'Subject', value: 'a' },
      { name: 'Authentication-Results', value: 'elsewhere.example; spf=pass' },
    ])
  })

  it.each(['postfix', 'sendmail'] as const)('are told to %s with removals from the last back', async mta => {
    await using host = await testPlugin(spf, { mta })
    const { edits } = await host.deliver({ message })
    const removed = edits.flatMap(edit => (edit.kind === 'removeHeader' ? [edit.occurrence] : []))
    expect(removed).toEqual([4, 2, 1])
    expect(edits.at(-1)).toMatchObject({ kind: 'insertHeader', index: 0, name: 'Authentication-Results' })
  })

  it('stand above what every filter puts on top', async () => {
    const last = definePlugin({
      name: 'last',
      setup: () => ({ end: event => event.edit.prependHeader('X-Last', '1') }),
    })()
    await using host = await testPlugin([spf, last])
    const { message: delivered } = await host.deliver({})
    expect(delivered?.headers.map(({ name }) => name)).toEqual(['Authentication-Results', 'X-Last', 'Subject'])
  })

  it('of connect and helo are written into every message, those of a message into that one', async () => {
    let messages = 0
    const iprev = contributor('iprev', {
      connect: event => event.authResult({ method: 'iprev', result: 'pass' }),
      helo: event => event.authResult({ method: 'x-helo', result: 'pass', properties: { 'smtp.helo': event.name } }),
      mail: event => event.authResult({ method: 'spf', result: 'pass', reason: `${++messages}` }),
    })
    await using host = await testPlugin(iprev)
    const conversation = host.open()
    const written: (string | undefined)[] = []
    for (let i = 0; i < 2; i++) written.push((await conversation.message()).message?.header('authentication-results'))
    await conversation.helo('other.example')
    written.push((await conversation.message()).message?.header('authentication-results'))
    conversation.quit()
    const start = 'mx.example.com;\n\tiprev=pass;\n\tx-helo=pass smtp.helo='
    expect(written).toEqual([
      `${start}client.example.net;\n\tspf=pass reason="1"`,
      `${start}client.example.net;\n\tspf=pass reason="2"`,
      `${start}other.example;\n\tspf=pass reason="3"`,
    ])
  })

  it('are not doubled when a filter failed and is told connect and helo again', async () => {
    let fail = true
    const shaky = contributor('shaky', {
      connect: event => event.authResult({ method: 'iprev', result: 'pass' }),
      end(event) {
        event.authResult({ method: 'dkim', result: 'none' })
        if (fail) throw new Error('down')
      },
    })
    await using host = await testConfig({ filters: [shaky, spf] })
    const conversation = host.open()
    expect((await conversation.message()).outcome).toBe('tempfail')
    fail = false
    const { message: delivered } = await conversation.message()
    conversation.quit()
    expect(delivered?.header('authentication-results')).toMatch(
      /^mx.example.com;\n\tiprev=pass;\n\tdkim=none;\n\tspf=pass/,
    )
  })

  it('of a filter that failed or only observes are not written', async () => {
    const failing = definePlugin({
      name: 'failing',
      authResults: true,
      setup: () => ({
        mail: event => event.authResult({ method: 'spf', result: 'fail' }),
        end() {
          throw new Error('down')
        },
      }),
    })({}, { onFailure: 'accept' })
    const watching = definePlugin({
      name: 'watching',
      authResults: true,
      setup: () => ({ mail: event => event.authResult({ method: 'spf', result: 'fail' }) }),
    })({}, { mode: 'observe' })
    await using host = await testPlugin([failing, watching])
    const { message: delivered } = await host.deliver({ message })
    expect(delivered?.headers.map(({ value }) => value)).toEqual(['a', 'elsewhere.example; spf=pass'])
    await using alone = await testPlugin(watching)
    expect((await alone.deliver({ message })).edits).toEqual([])
  })

  it('are there for later filters, under the name they will have', async () => {
    let seen: unknown
    const reader = definePlugin({
      name: 'reader',
      setup: () => ({
        end(event) {
          seen = [event.authservId, event.authResults()]
        },
      }),
    })()
    await using host = await testConfig({ filters: [spf, reader], authentication: { authservId: 'mail.example' } })
    const { message: delivered } = await host.deliver({ from: '' })
    expect(seen).toEqual(['mail.example', [{ method: 'spf', result: 'pass', properties: { 'smtp.mailfrom': '' } }]])
    expect(delivered?.header('authentication-results')).toBe('mail.example;\n\tspf=pass smtp.mailfrom=""')
  })

  it('forged ones are gone before the first filter looks', async () => {
    let seen = -1
    const trusting = definePlugin({
      name: 'trusting',
      setup: () => ({
        end(event) {
          seen = event.headerAll('Authentication-Results').length
        },
      }),
    })()
    await using host = await testPlugin([trusting, spf])
    await host.deliver({ message })
    expect(seen).toBe(1)
  })

  it('are not written into a message that is refused', async () => {
    const no = definePlugin({ name: 'no', setup: () => ({ end: () => reject('No') }) })()
    await using host = await testPlugin([spf, no])
    expect((await host.deliver({})).edits).toEqual([])
  })

  it('without any nothing is written, and forged fields go only when some filter could contribute or it is asked for', async () => {
    const silent = contributor('silent', { end() {} })
    const other = definePlugin({ name: 'other', setup: () => ({ end() {} }) })()
    const names = async (config: Parameters<typeof testConfig>[0]): Promise<string[] | undefined> => {
      await using host = await testConfig(config)
      return (await host.deliver({ message })).message?.headers.map(({ value }) => value.slice(0, 4))
    }
    expect(await names({ filters: [silent] })).toEqual(['a', 'else'])
    expect(await names({ filters: [other] })).toEqual(['mx.e', 'a', 'mx.e', 'else', 'mx.e'])
    expect(await names({ filters: [other], authentication: { removeForged: true } })).toEqual(['a', 'else'])
    expect(
      await names({ filters: [silent], authentication: { removeAlso: ['Elsewhere.example'], authservId: 'x' } }),
    ).toEqual(['mx.e', 'a', 'mx.e', 'mx.e'])
  })

  it('a call that is not announced, wrong or too late is told', async () => {
    const unannounced = definePlugin({
      name: 'unannounced',
      setup: () => ({ mail: event => event.authResult({ method: 'spf', result: 'pass' }) }),
    })()
    const wrong = contributor('wrong', { mail: event => event.authResult({ method: 'spf pass', result: 'pass' }) })
    for (const [entry, detail] of [
      [unannounced, 'does not say authResults: true'],
      [wrong, 'method must be a word'],
    ] as const) {
      await using host = await testPlugin(entry)
      const { trace } = await host.deliver({})
      expect(trace.find(({ failure }) => failure !== null)?.failure).toMatchObject({
        code: 'PLUGIN_ARGUMENT',
        detail: expect.stringContaining(detail),
      })
    }
    const flood = contributor('flood', {
      mail(event) {
        for (let i = 0; i < 70; i++) event.authResult({ method: 'dkim', result: 'none' })
      },
    })
    await using host = await testPlugin(flood)
    const { refused, message: delivered } = await host.deliver({})
    expect(refused).toHaveLength(6)
    expect(delivered?.header('authentication-results')?.split('\n\t')).toHaveLength(65)
    expect(() => definePlugin({ name: 'x', authResults: 'yes' as never, setup: () => ({}) })).toThrow(
      'authResults must be',
    )
  })
})

it('the MTA is asked for headers and for their edits, and for no more', async () => {
  const policy = { name: 'spf', mode: 'enforce', onFailure: 'tempfail', enabled: true } as never
  const needs = needsOf([{ filter: await create(spf), policy }])
  expect([...needs.events].toSorted()).toEqual(['connect', 'eoh', 'header', 'mail', 'rcpt'])
  expect([...needs.edits].toSorted()).toEqual(['insertHeader', 'quarantine', 'removeHeader'])
  expect([...needsOf([], true).edits]).toEqual(['removeHeader'])
})
