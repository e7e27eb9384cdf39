/**
 * A program: signs a body of so many MB, made piece by piece, verifies it, and prints the result and the most memory it took.
 * `node large.ts MEGABYTES`, run by body.test.ts.
 */
import { generateKeyPairSync } from 'node:crypto'
import { parsePrivateKey, publicRecord } from '../../src/sign/keys.ts'
import { MessageSigner } from '../../src/sign/signer.ts'
import { BoundedVerifier } from '../../src/verify/verifier.ts'

const [megabytes] = process.argv.slice(2)
const LINE = 'Text  with blanks \t and what else a line may hold, until it is long enough. \r\n\r\n'
/** As the host hands a body on. */
const PIECE = 65_535

const field = (line: string): { key: string; casedKey: string; line: Buffer } => {
  const casedKey = line.slice(0, line.indexOf(':'))
  return { key: casedKey.toLowerCase(), casedKey, line: Buffer.from(line, 'latin1') }
}
const FIELDS = [field('From: Ann <ann@example.org>'), field('Subject: large')]

function* pieces(): Generator<Buffer> {
  const stock = Buffer.from(LINE.repeat(Math.ceil((PIECE * 2) / LINE.length)))
  for (let left = Number(megabytes) * 1e6, at = 0; left > 0; left -= PIECE, at = (at + PIECE) % LINE.length)
    yield Buffer.from(stock.subarray(at, at + Math.min(left, PIECE)))
}

const key = parsePrivateKey(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
)
const now = Date.now()
const rules = { canonicalization: 'relaxed/relaxed', headers: ['From', 'Subject'], oversign: ['From'] } as const

function sign(): string {
  const signer = new MessageSigner(FIELDS, rules)
  for (const piece of pieces()) signer.update(piece)
  return signer.finish([{ ...key, domain: 'example.org', selector: 's' }], now)[0]!
}

async function verify(signature: string): Promise<string | undefined> {
  const fields = [field(`DKIM-Signature:${signature.replaceAll('\n', '\r\n')}`), ...FIELDS]
  const resolver = async (): Promise<string[][]> => [[publicRecord(key)]]
  const verifier = new BoundedVerifier(fields, { resolver, minKeyBits: 1024, maxSignatures: 10, now, seals: false })
  verifier.begin()
  for (const piece of pieces()) verifier.update(piece)
  await verifier.finalChunk()
  return verifier.results[0]?.status.result
}

console.log(JSON.stringify({ result: await verify(sign()), peakKiB: process.resourceUsage().maxRSS }))
