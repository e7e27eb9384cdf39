/** The security list that SPF, DKIM, DMARC and ARC are held to: where each of its items is tested. A test that is renamed or gone fails here. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const DKIM = 'plugins/dkim/test/security.test.ts'
const SPF = 'plugins/spf/test/security.test.ts'
const FORGED = 'test/host/authentication/forged.test.ts'
const CHAIN = 'test/host/authentication/chain.test.ts'
const FRAME = 'test/bridge/wire/frame.test.ts'
const REPLY = 'test/bridge/wire/reply-text.test.ts'
const REPORTS = 'plugins/dkim/test/commands.test.ts'

const LIST: readonly (readonly [item: string, file: string, test: string])[] = [
  ['1 forged results are removed from the last back', FORGED, 'fields are removed from the last back to the first'],
  ['1 their service identifier in any spelling', DKIM, '1: forged Authentication-Results are gone, fifty others stay'],
  ['2 results stand at index 0', CHAIN, 'stand above what every filter puts on top'],
  ['2 behind Postfix', 'test/interop/dkim/postfix.test.ts', 'one result on top, a forged one gone among fifty others'],
  ['3 domains are validated', DKIM, '3: control characters and comments in domains reach neither DNS nor the result'],
  ['3 of SPF', SPF, 'is no domain: not looked up, not published, not printed'],
  ['4 one From field, one domain', DKIM, "['two addresses', "],
  ['4 whatever the field holds', 'plugins/dkim/test/from.test.ts', 'whatever the field holds, there is an answer'],
  ['5 SPF is never believed from a header', DKIM, '5: SPF is taken from this chain and never from a header'],
  ['6 rsa-sha1', DKIM, '6: rsa-sha1 is refused, and says so'],
  ['6 sizes of keys', DKIM, '6: keys that are too short or too large do not count'],
  ['6 l=', DKIM, '6: what l= leaves unsigned does not count for alignment'],
  ['6 t= and x=', DKIM, '6: a signature from the future, an expired one'],
  ['6 i=, tags, From, public suffixes', DKIM, '6: i= outside d=, a tag twice, From unsigned'],
  ['6 number of signatures', DKIM, '6: five hundred signatures cost no more than ten'],
  ['7 strict alignment', DKIM, '7: strict alignment is strict, relaxed is not'],
  ['7 tags with crafted names', DKIM, '7: tags named as what objects have are only tags'],
  ['8 nothing of ours carries bare CR, LF or NUL', DKIM, '8: replies and header fields made from mail hold no line'],
  ['8 bytes are kept exact', 'plugins/dkim/test/body.test.ts', 'for any body in any pieces, with any l='],
  ['9 MIME is not interpreted: boundaries decide nothing', DKIM, '9: parts and boundaries of MIME change no result'],
  ['10 lying lengths, huge tags', DKIM, '10: lying lengths, huge tags and names without end are bounded'],
  ['10 results without end', CHAIN, 'toHaveLength(65)'],
  ['11 parsers', DKIM, '11: a header of 1 MB is verified at a bounded cost'],
  ['11 addresses', 'plugins/dkim/test/from.test.ts', 'is found at a bounded cost'],
  ['12 TXT', DKIM, '12: 64 KiB of TXT is no key'],
  ['12 look-ups', SPF, 'ten terms that look up are the most'],
  ['12 no answer', DKIM, '12: DNS that never answers is a temporary error within its time'],
  ['12 explanations', SPF, 'reply injection through exp='],
  ['13 packets: length 0', FRAME, 'refuses length 0 as soon as the four bytes are there'],
  ['13 packets: length over the limit', FRAME, 'refuses a length over the limit at the header'],
  ['13 order of commands', 'test/bridge/mta/order.test.ts', 'a message is in progress from MAIL to its end'],
  ['13 replies that cannot be sent', REPLY, 'never gives a reply that cannot be sent, whatever comes in'],
  ['14 reply text', REPLY, 'takes a lone % for itself, and it goes out doubled'],
  ['14 of SPF', SPF, 'a long one is cut, a percent sign is only itself'],
  ['15 no process is started for mail', 'test/architecture.test.ts', 'the host opens no socket and starts no process'],
  ['16 what is done when DNS fails', DKIM, 'and the policy for that is applied'],
  ['16 when the plugin fails', 'test/testing/conversation.test.ts', 'a plugin that throws costs its onFailure'],
  ['17 keys', DKIM, '17: a key that others may read is refused, and no part of it is told'],
  ['18 reports: consent', REPORTS, 'names another domain only if that one agreed'],
  ['18 reports: hostile values', REPORTS, 'holds hostile values harmless'],
  ['18 reports: nothing sent, no recipients', REPORTS, 'writes the XML of RFC 9990'],
  ['19 foreign mail is not signed', DKIM, '19: mail from outside is never signed for its From'],
  ['19 logins', DKIM, '19: a login of another domain does not sign'],
]

it.each(LIST)('%s', (_item, file, test) => {
  // Not toContain, which would print the file.
  expect(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8').includes(test)).toBe(true)
})

it('no item is left out', () => {
  expect(new Set(LIST.map(([item]) => Number.parseInt(item, 10)))).toEqual(
    new Set(Array.from({ length: 19 }, (_, at) => at + 1)),
  )
})
