// Free ports and temporary folders.

import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onCleanup } from './cleanup.ts'

const given = new Set<number>()

/**
 * A loopback port that nobody listens on, for a program that cannot take port 0 itself. Below the kernel's ephemeral range (from
 * 32768), so that no outgoing connection and no listener on port 0 takes it in the meantime; random, so that test files running
 * side by side do not meet.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = net.createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/** A folder that other users may pass through (Postfix's must); it goes at the end of the test file. */
export function tempDir(name = 'test'): string {
  const dir = mkdtempSync(join(tmpdir(), `milterhost-${name}-`))
  chmodSync(dir, 0o711)
  onCleanup(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}
