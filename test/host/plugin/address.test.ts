import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EnvelopeAddress } from '../../../src/host/plugin/address.ts'

test.each([
  ['<user@Example.ORG>', 'user@Example.ORG', 'user', 'example.org'],
  ['<>', '', '', ''],
  ['<postmaster>', 'postmaster', 'postmaster', ''],
  ['<@a.example,@b.example:user@c.example>', 'user@c.example', 'user', 'c.example'],
  ['<"a b"@c.example>', '"a b"@c.example', 'a b', 'c.example'],
  ['<"a\\"@b"@c.example>', '"a\\"@b"@c.example', 'a"@b', 'c.example'],
  ['<"a@b">', '"a@b"', 'a@b', ''],
  ['<a@b@c.example>', 'a@b@c.example', 'a@b', 'c.example'],
  ['<user@[192.0.2.1]>', 'user@[192.0.2.1]', 'user', '[192.0.2.1]'],
  ['<j\xc3\xbcrgen@b\xc3\xbccher.example>', 'jürgen@bücher.example', 'jürgen', 'bücher.example'],
  ['<j\xfcrgen@example.org>', 'jürgen@example.org', 'jürgen', 'example.org'],
  ['user@example.org', 'user@example.org', 'user', 'example.org'],
])('%s is taken apart', (path, address, local, domain) => {
  const parsed = new EnvelopeAddress(path)
  expect(parsed).toMatchObject({ address, local, domain })
  expect(parsed.isNull).toBe(address === '')
})

test('whatever the client gave, parsing does not fail and the bytes are kept', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      const raw = `<${Buffer.from(bytes).toString('latin1')}>`
      expect(Buffer.from(new EnvelopeAddress(raw).raw).toString('latin1')).toBe(raw)
    }),
  )
})
