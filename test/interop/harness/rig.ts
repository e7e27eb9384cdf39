// Runs the scripts of ../rig. They print one line and return when what they start is ready; what they start dies with us (RIG_OWNER).

import { spawn } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PATIENCE, within } from './wait.ts'

/** A file of the rig. */
export const rigPath = (name: string): string => fileURLToPath(new URL(`../rig/${name}`, import.meta.url))

/** Where Sendmail was unpacked, or where it would be. The same places as in rig/lib/common.sh and scripts/setup-test.mjs. */
export function sendmailRoot(): string {
  if (process.env.SENDMAIL_ROOT) return process.env.SENDMAIL_ROOT
  const cache = process.getuid?.() === 0 ? '/var/cache' : process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(cache, 'milterhost-test', 'sendmail')
}

/** Runs a script; its output, or an error with what it said. */
export async function rig(script: string, ...args: string[]): Promise<string> {
  return slowRig(2 * PATIENCE, script, ...args)
}

/** The same for a script that may take so many seconds. */
export async function slowRig(seconds: number, script: string, ...args: string[]): Promise<string> {
  const env = { RIG_OWNER: String(process.pid), SENDMAIL_ROOT: sendmailRoot() }
  return run(rigPath(`bin/${script}`), args, '', env, seconds)
}

/** Runs a program to its end; its output, or an error with what it said. */
export async function run(
  program: string,
  args: string[],
  input: string | Buffer = '',
  env: Record<string, string> = {},
  seconds: number = 2 * PATIENCE,
): Promise<string> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'pipe' })
  let out = ''
  let err = ''
  child.stdout.setEncoding('latin1').on('data', text => (out += text))
  child.stderr.setEncoding('latin1').on('data', text => (err += text))
  // a program that ends without reading its input is judged by its exit code
  child.stdin.on('error', () => {}).end(input)
  const code = await within(
    seconds,
    () => `${program} ${args.join(' ')} (so far: ${out}${err})`,
    new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    }),
  ).catch(error => {
    child.kill('SIGKILL')
    throw error
  })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${code}\n${out}${err}`)
  return out
}
