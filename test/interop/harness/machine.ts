// This machine once more, with a systemd of its own: what is installed here, started as its packages start it, and thrown away after.
// Only the folder of the instance is seen from both sides.

import { spawn } from 'node:child_process'
import { onCleanup } from './cleanup.ts'
import { tempDir } from './places.ts'
import { rig, rigPath, slowRig } from './rig.ts'

/** Seconds that it may take to boot, or to install something; on two idle processors it takes four. */
const BOOT = 150

export interface Machine {
  /** At the same path on both sides. */
  dir: string
  /** Runs a command there to its end, as root; its output, or an error with what it said. */
  run(...command: string[]): Promise<string>
  /** Runs lines of a shell there, as root in /root, up to the first that fails; what they print on both outputs, or an error with it. */
  shell(script: string, env?: Readonly<Record<string, string>>): Promise<string>
  /** Starts one that goes on; it ends with the machine. What it says on its two outputs so far. */
  start(...command: string[]): { out(): string; err(): string }
  stop(): Promise<void>
}

/**
 * `setup`: a script of the rig's folder `machine`, which configures what is installed, as a postmaster would. Of all services that are
 * installed only the named ones run.
 */
export async function startMachine(setup: string, services: readonly string[]): Promise<Machine> {
  const dir = tempDir('machine')
  await slowRig(BOOT, 'machine-up', dir, rigPath(`machine/${setup}`), ...services)
  const stop = onCleanup(async () => {
    await rig('machine-down', dir)
  })
  return {
    dir,
    run: (...command) => rig('machine-run', dir, ...command),
    shell: (script, env = {}) => {
      const given = Object.entries(env).map(([name, value]) => `${name}=${value}`)
      const bash = ['bash', '-e', '-o', 'pipefail', '-c', `cd /root; exec 2>&1; ${script}`]
      return slowRig(BOOT, 'machine-run', dir, 'env', ...given, ...bash)
    },
    start(...command) {
      const child = spawn(rigPath('bin/machine-run'), [dir, ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
      const said = { out: '', err: '' }
      child.stdout.setEncoding('utf8').on('data', text => (said.out += text))
      child.stderr.setEncoding('utf8').on('data', text => (said.err += text))
      return { out: () => said.out, err: () => said.err }
    },
    stop,
  }
}
