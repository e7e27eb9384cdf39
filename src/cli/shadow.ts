/**
 * Starts the thread in which a shadow configuration runs (`shadow-thread.ts`), for the daemon.
 *
 * The thread has a folder of state of its own below that of the daemon, so that what its plugins learn is theirs alone.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { ShadowAnswer, StartShadow } from '../daemon/shadow/shadow.ts'
import { installation } from '../host/config/installation.ts'
import { stateFilePath } from '../host/plugin/state-file.ts'

/** A configuration and its plugins; far more than they need. */
const HEAP_MEGABYTES = 512

export const startShadow: StartShadow = (file, heard) => {
  const { root, checkout } = installation(import.meta.url)
  const entry = join(root, checkout ? 'src/cli/shadow-thread.ts' : 'dist/cli/shadow-thread.js')
  const worker = new Worker(pathToFileURL(entry), {
    workerData: file,
    execArgv: [],
    env: { ...process.env, STATE_DIRECTORY: stateFilePath('shadow', process.env), MILTERHOST_SHADOW: '1' },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
  })
  worker.unref()
  worker.on('message', (answer: ShadowAnswer) => heard(answer))
  worker.on('error', error => heard({ kind: 'failed', why: error.message }))
  worker.on('exit', () => heard({ kind: 'failed', why: 'its thread has ended' }))
  return {
    play: session => worker.postMessage(session),
    end: () => void worker.terminate(),
  }
}
