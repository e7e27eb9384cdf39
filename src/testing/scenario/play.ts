/**
 * Plays one scenario on a stage and holds its expectations against what is seen.
 *
 * The same everywhere: it takes the steps that were left out (a RCPT without a MAIL gets one), gives each command to the stage
 * without waiting for its answer, so that WAIT, TIMEOUT and DISCONNECT can come meanwhile, and judges. A command that
 * nothing was expected of must not be refused. What a stage does not show is counted as unseen, never as met.
 */
import type { DeliveredMessage } from '../delivery.ts'
import { fillerText } from './filler.ts'
import { answerText, type Judged, judge, looksAtMessage } from './judge.ts'
import type {
  Answer,
  Content,
  Scenario,
  ScenarioResult,
  ScenarioStage,
  ScenarioStep,
  Seen,
  StageConnection,
} from './scenario.ts'

/** Is told of every step as it ends, those that the scenario left out among them; `line` is that of the step that led to it. */
export interface Witness {
  answered(line: number, command: string, answer: Answer): void
  judged(line: number, judged: Judged): void
}

/** The failures are in the result; rejects only when the stage itself breaks. The stage is closed at the end. */
export async function playScenario(
  scenario: Scenario,
  stage: ScenarioStage,
  witness: Witness | null = null,
): Promise<ScenarioResult> {
  const player = new Player(scenario, stage, witness)
  try {
    const skipped = stage.refuses(scenario)
    if (skipped !== null) return { scenario, skipped, failures: [], unseen: [] }
    for (const step of scenario.steps) {
      if (!(await player.take(step))) break
    }
    await player.end()
    const { failures, unseen } = player
    return { scenario, skipped: null, failures, unseen }
  } finally {
    await stage.close()
  }
}

/** Where an SMTP connection stands, so that missing steps can be taken. */
type At = 'new' | 'connected' | 'greeted' | 'mail' | 'rcpt' | 'data' | 'closed'

const ORDER: readonly At[] = ['new', 'connected', 'greeted', 'mail', 'rcpt', 'data']

/** Real milliseconds until an answer on a stage whose clock stands still is given up. */
const STILL = 5_000
/** The longest that TIMEOUT lets pass. */
const PATIENCE = 3_600_000
const SLICE = 1_000

interface Command {
  readonly line: number
  readonly name: string
  readonly answer: Promise<Answer>
  settled: Answer | Error | null
  expected: boolean
}

class Player {
  readonly failures: { line: number; message: string }[] = []
  readonly unseen: { line: number; what: string }[] = []
  readonly #scenario: Scenario
  /** Told with the next command. */
  readonly #macros: Extract<ScenarioStep, { kind: 'macros' }>[] = []
  readonly #stage: ScenarioStage
  readonly #witness: Witness | null
  #connection: StageConnection | null = null
  #at: At = 'closed'
  #last: Command | null = null
  #headers: (readonly [string, string])[] = []
  #body = ''
  #sent: Content | null = null
  #envelope: { sender: string; recipients: string[] } = { sender: '', recipients: [] }
  #left = false

  constructor(scenario: Scenario, stage: ScenarioStage, witness: Witness | null) {
    this.#scenario = scenario
    this.#stage = stage
    this.#witness = witness
  }

  /** False when nothing that follows would make sense. */
  async take(step: ScenarioStep): Promise<boolean> {
    switch (step.kind) {
      case 'expect':
        return this.#expect(step)
      case 'wait':
        await this.#stage.wait(step.milliseconds)
        return true
      case 'timeout':
        return this.#timeout(step.line)
      case 'header':
        this.#headers.push([step.name, step.value])
        return true
      case 'body':
        this.#body += step.text
        return true
      case 'filler':
        this.#body += fillerText(step)
        return true
      case 'macros':
        this.#macros.push(step)
        return true
      case 'disconnect':
        this.#left = true
        this.#at = 'closed'
        // Whatever it is answered, the client does not see it.
        if (this.#last !== null) this.#last.expected = true
        await this.#connection?.disconnect()
        return true
      case 'connect':
        if (!(await this.#finish(step.line))) return false
        await this.#quit()
        this.#connection = await this.#stage.open(step.client)
        this.#at = 'new'
        this.#left = false
        return this.#to('connected', step.line, true)
      default:
        return this.#command(step)
    }
  }

  async end(): Promise<void> {
    if (this.failures.length === 0) await this.#finish(0)
    await this.#quit()
  }

  async #quit(): Promise<void> {
    if (this.#connection !== null && this.#at !== 'closed') await this.#connection.quit()
    this.#at = 'closed'
  }

  async #command(step: Exclude<ScenarioStep, { kind: 'expect' }>): Promise<boolean> {
    const { line } = step
    switch (step.kind) {
      case 'helo':
        return (
          (await this.#to('connected', line)) && this.#say(line, `HELO ${step.name}`, 'greeted', c => c.helo(step.name))
        )
      case 'mail':
        if (!(await this.#to('greeted', line))) return false
        this.#begin(step.address)
        return this.#say(line, `MAIL <${step.address}>`, 'mail', c => c.mail(step.address, step.args))
      case 'rcpt': {
        if (!(await this.#to('mail', line))) return false
        this.#envelope.recipients.push(step.address)
        return this.#say(line, `RCPT <${step.address}>`, 'rcpt', c => c.rcpt(step.address, step.args))
      }
      case 'data':
        return (await this.#to('rcpt', line)) && this.#say(line, 'DATA', 'data', c => c.data())
      case 'end': {
        if (!(await this.#to('data', line))) return false
        const content = { headers: this.#headers.length === 0 ? DEFAULT_HEADERS : this.#headers, body: this.#body }
        this.#sent = content
        this.#headers = []
        this.#body = ''
        return this.#say(line, 'the message', 'greeted', c => c.message(content))
      }
      case 'reset':
        if (!(await this.#to('connected', line))) return false
        await this.#connection!.reset()
        this.#at = this.#at === 'connected' ? 'connected' : 'greeted'
        return true
      case 'quit':
        if (!(await this.#finish(line))) return false
        await this.#quit()
        return true
      default:
        return true
    }
  }

  /** Takes the steps up to there that the scenario left out. `false`: one was refused, or the last command was. */
  async #to(wanted: At, line: number, expected = false): Promise<boolean> {
    if (!(await this.#finish(line))) return false
    if (this.#at === 'closed') {
      if (this.#left) return this.#fail(line, 'the client has gone; CONNECT begins another connection')
      this.#connection = await this.#stage.open({})
      this.#at = 'new'
    }
    while (ORDER.indexOf(this.#at) < ORDER.indexOf(wanted)) {
      const last = expected && ORDER.indexOf(this.#at) === ORDER.indexOf(wanted) - 1
      const at = this.#at
      if (at === 'new') this.#say(line, 'CONNECT', 'connected', c => c.connect())
      else if (at === 'connected') this.#say(line, 'HELO', 'greeted', c => c.helo('client.example.net'))
      else if (at === 'greeted') {
        this.#begin('sender@example.net')
        this.#say(line, 'MAIL', 'mail', c => c.mail('sender@example.net', []))
      } else if (at === 'mail') {
        this.#envelope.recipients.push('recipient@example.com')
        this.#say(line, 'RCPT', 'rcpt', c => c.rcpt('recipient@example.com', []))
      } else this.#say(line, 'DATA', 'data', c => c.data())
      if (!last && !(await this.#finish(line))) return false
    }
    return true
  }

  #begin(sender: string): void {
    this.#sent = null
    this.#envelope = { sender, recipients: [] }
  }

  #say(line: number, name: string, next: At, ask: (connection: StageConnection) => Promise<Answer>): true {
    for (const { stage, values } of this.#macros.splice(0)) this.#connection!.macros?.(stage, values)
    const command: Command = { line, name, answer: ask(this.#connection!), settled: null, expected: false }
    command.answer.then(
      answer => {
        command.settled = answer
        this.#witness?.answered(line, name, answer)
      },
      error => {
        command.settled = error as Error
      },
    )
    this.#last = command
    if (next !== 'rcpt' || this.#at !== 'data') this.#at = next
    return true
  }

  /** Waits for the last command; one of which nothing was expected must not have been refused. */
  async #finish(line: number): Promise<boolean> {
    const command = this.#last
    if (command === null || command.expected) return true
    const answer = await this.#answerTo(command, line)
    if (answer === null) return false
    this.#last = null
    if (answer.kind !== 'reject' && answer.kind !== 'tempfail') return true
    const why = failureIn((await this.#connection?.seen(false)) ?? {})
    return this.#fail(
      command.line,
      `${command.name} was answered ${answerText(answer)}, and nothing was expected of it${why}`,
    )
  }

  /** `null`, and a failure, when no answer comes. */
  async #answerTo(command: Command, line: number): Promise<Answer | null> {
    if (command.settled === null && this.#stage.still) await realTurns(() => command.settled !== null)
    else if (command.settled === null) await command.answer.catch(() => {})
    const { settled } = command
    if (settled === null) {
      this.#fail(
        line || command.line,
        `${command.name} is not answered while time stands still; put WAIT or TIMEOUT before`,
      )
      return null
    }
    if (settled instanceof Error) {
      if (!this.#left) this.#fail(command.line, `${command.name} got no answer: ${settled.message}`)
      return this.#left ? { kind: 'continue', reply: null } : null
    }
    return settled
  }

  async #timeout(line: number): Promise<boolean> {
    const command = this.#last
    if (command === null) return this.#fail(line, 'TIMEOUT waits for an answer, and none is awaited')
    if (!this.#stage.still) {
      await command.answer.catch(() => {})
      return true
    }
    for (let passed = 0; command.settled === null && passed < PATIENCE; passed += SLICE) await this.#stage.wait(SLICE)
    return command.settled !== null || this.#fail(line, `${command.name} was not answered within an hour`)
  }

  async #expect(step: Extract<ScenarioStep, { kind: 'expect' }>): Promise<boolean> {
    const command = this.#last
    if (command === null && !this.#left) return this.#fail(step.line, 'nothing was answered that could be expected')
    const answer = command === null ? null : await this.#answerTo(command, step.line)
    if (command !== null && answer === null && !this.#left) return false
    if (command !== null) command.expected = true
    const { expectation } = step
    const seen = (await this.#connection?.seen(looksAtMessage(expectation))) ?? {}
    const judged = judge(expectation, { answer: this.#left ? null : answer, seen, sent: this.#asSent() })
    this.#witness?.judged(step.line, judged)
    const why = expectation.kind === 'verdict' ? failureIn(seen) : ''
    if (judged.kind === 'failed') this.#fail(step.line, `${judged.message}${why}`)
    if (judged.kind === 'unseen') this.unseen.push({ line: step.line, what: judged.what })
    return true
  }

  #fail(line: number, message: string): false {
    this.failures.push({ line: line || this.#scenario.line, message })
    return false
  }

  /** The message as the client sent it, to compare with. */
  #asSent(): Pick<DeliveredMessage, 'sender' | 'recipients' | 'body'> & { headers: Content['headers'] } {
    const { headers = [], body = '' } = this.#sent ?? {}
    return { ...this.#envelope, headers, body: body.replace(/\r?\n/g, '\r\n') }
  }
}

const DEFAULT_HEADERS: Content['headers'] = [
  ['From', 'sender@example.net'],
  ['To', 'recipient@example.com'],
  ['Subject', 'test'],
]

/** A filter that failed answered for no reason that a scenario names. */
function failureIn({ trace = [] }: Seen): string {
  const { filter, failure } = trace.findLast(step => step.failure !== null) ?? {}
  return failure ? ` (filter ${filter} failed: ${failure.detail})` : ''
}

/** Lets what is under way in this process go on, for a while of real time. */
async function realTurns(done: () => boolean): Promise<void> {
  const until = Date.now() + STILL
  for (let turns = 0; !done() && Date.now() < until; turns++)
    await new Promise(resolve => (turns < 100 ? setImmediate(resolve) : setTimeout(resolve, 2)))
}
