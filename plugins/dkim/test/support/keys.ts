/** Keys for tests, made once a run, their files, and their records in DNS. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parsePrivateKey, publicRecord } from '../../src/sign/keys.ts'

export interface TestKey {
  readonly pem: string
  /** Value of the TXT record. */
  readonly record: string
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string

const made = (privateKey: KeyObject): TestKey => {
  const text = pem(privateKey)
  return { pem: text, record: publicRecord(parsePrivateKey(text)) }
}

export const RSA: TestKey = made(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
export const ED25519: TestKey = made(generateKeyPairSync('ed25519').privateKey)

/** A folder of the test's own, and what it holds; keys with mode 0600. */
export function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'milterhost-dkim-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
    chmodSync(join(path, name), 0o600)
  }
  return path
}
