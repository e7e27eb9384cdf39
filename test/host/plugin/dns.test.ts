/** The resolver plugins get, against a name server on loopback that this test runs. */
import { createSocket, type Socket } from 'node:dgram'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemDns } from '../../../src/host/plugin/dns.ts'
import type { Dns } from '../../../src/host/plugin/services.ts'
import { failureOf } from './harness.ts'

const name = (text: string): Buffer =>
  Buffer.concat([...text.split('.').map(label => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)])

/** Records by name and type number. */
const zone: Readonly<Record<string, readonly Buffer[]>> = {
  'a.test 1': [Buffer.of(192, 0, 2, 1), Buffer.of(192, 0, 2, 2)],
  'a.test 28': [Buffer.from('20010db8000000000000000000000001', 'hex')],
  'a.test 15': [Buffer.concat([Buffer.of(0, 10), name('mx.test')])],
  'a.test 16': [Buffer.concat([Buffer.of(6), Buffer.from('v=spf1'), Buffer.of(5), Buffer.from(' -all')])],
  '1.2.0.192.in-addr.arpa 12': [name('a.test')],
}
const silent = 'silent.test'

let server: Socket
let dns: Dns

beforeAll(async () => {
  server = createSocket('udp4')
  server.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12)
    const labels: string[] = []
    for (let at = 12; at < end; at += 1 + query[at]!) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    const asked = labels.join('.').toLowerCase()
    if (asked === silent) return
    const type = query.readUInt16BE(end + 1)
    const records = zone[`${asked} ${type}`] ?? []
    const known = Object.keys(zone).some(key => key.startsWith(`${asked} `))
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(known ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(records.length, 6)
    header.fill(0, 8)
    const answers = records.map(data => {
      const fixed = Buffer.alloc(12)
      fixed.writeUInt16BE(0xc00c, 0)
      fixed.writeUInt16BE(type, 2)
      fixed.writeUInt16BE(1, 4)
      fixed.writeUInt16BE(data.length, 10)
      return Buffer.concat([fixed, data])
    })
    server.send(Buffer.concat([header, query.subarray(12, end + 5), ...answers]), port, address)
  })
  await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve))
  dns = systemDns({ servers: [`127.0.0.1:${server.address().port}`], timeout: 5000 })
})

afterAll(() => server.close())

test('every kind of record is looked up', async () => {
  expect(await dns.a('a.test')).toEqual(['192.0.2.1', '192.0.2.2'])
  expect(await dns.aaaa('a.test')).toEqual(['2001:db8::1'])
  expect(await dns.mx('a.test')).toMatchObject([{ exchange: 'mx.test', priority: 10 }])
  expect(await dns.txt('a.test')).toEqual(['v=spf1 -all'])
  expect(await dns.ptr('192.0.2.1')).toEqual(['a.test'])
})

test('a name without records and a record that is not there are two errors', async () => {
  expect(await failureOf(() => dns.a('nowhere.test'))).toMatchObject({ code: 'ENOTFOUND' })
  expect(await failureOf(() => dns.txt('1.2.0.192.in-addr.arpa'))).toMatchObject({ code: 'ENODATA' })
})

test('a look-up ends with its signal, and does not begin after it', async () => {
  const controller = new AbortController()
  const failure = failureOf(() => dns.a(silent, controller.signal))
  const other = dns.a('a.test')
  controller.abort()
  expect(await failure).toMatchObject({ code: 'ECANCELLED' })
  expect(await other).toHaveLength(2)
  expect(await failureOf(() => dns.a('a.test', controller.signal))).toMatchObject({ code: 'ECANCELLED' })
})
