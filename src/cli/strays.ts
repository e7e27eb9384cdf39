/**
 * Errors that no hook is there to catch, of a timer or a promise without `await`: while scenarios are played each fails the
 * scenario that is being played, and the rest is played all the same. Without this Node would end the process with a stack.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { describeThrown } from '../host/plugin/thrown.ts'
import type { ScenarioResult } from '../testing/scenario/scenario.ts'

export class Strays implements Disposable {
  #caught: unknown[] = []

  constructor() {
    process.on('uncaughtException', this.#catch)
    process.on('unhandledRejection', this.#catch)
  }

  /** What escaped since it was asked last, in words. */
  async take(): Promise<string[]> {
    // Node calls a rejection unhandled when the turn it happened in is over.
    await turn()
    const caught = this.#caught
    this.#caught = []
    return caught.map(
      error => `nobody caught this error (a promise without await, or a timer): ${describeThrown(error)}`,
    )
  }

  async addTo(result: ScenarioResult): Promise<ScenarioResult> {
    const { line } = result.scenario
    const failures = (await this.take()).map(message => ({ line, message }))
    return { ...result, failures: [...result.failures, ...failures] }
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#catch)
    process.off('unhandledRejection', this.#catch)
  }

  readonly #catch = (error: unknown): void => {
    this.#caught.push(error)
  }
}
