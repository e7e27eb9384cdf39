/**
 * Where log lines go and how they look: text for a person, `<N>` prefixes for journald, else JSON.
 *
 * pino makes the lines; for text they are taken apart again, which costs microseconds a line and keeps one path. They are
 * handed on at once; who gathers them (`lines.ts`) sees to it that the last one before an end is written. Every string,
 * whoever gave it, is harmless when it is printed.
 */
import pino from 'pino'
import type { Clock } from '../time/clock.ts'
import type { Logger } from './logger.ts'
import { harmless, harmlessJson } from './safe.ts'

export type LogFormat = 'text' | 'json' | 'journald'
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogOutput {
  readonly clock: Clock
  readonly level: LogLevel
  readonly format: LogFormat
  /** Takes whole lines with their line end. */
  write(line: string): void
}

/** Syslog severities, as journald reads them at the start of a line. */
const SEVERITY: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3, fatal: 2 }

export interface LevelledLogger extends Logger {
  /** Lines of this level are written. */
  writes(level: LogLevel): boolean
  /** Takes effect at once, also for loggers made from this one before. */
  setLevel(level: LogLevel): void
}

export function createLog(output: LogOutput): LevelledLogger {
  const write = { json: writeJson, text: writeText, journald: writeJournald }[output.format]
  let threshold = SEVERITY[output.level]!
  const root = pino(
    {
      level: 'debug',
      base: null,
      timestamp: () => `,"time":"${new Date(output.clock.now()).toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    { write: (line: string) => output.write(write(line)) },
  )
  const wrap = (inner: pino.Logger): Logger => ({
    debug: (fields, message) => void (threshold >= SEVERITY.debug! && inner.debug(fields, message)),
    info: (fields, message) => void (threshold >= SEVERITY.info! && inner.info(fields, message)),
    warn: (fields, message) => void (threshold >= SEVERITY.warn! && inner.warn(fields, message)),
    error: (fields, message) => inner.error(fields, message),
    child: fields => wrap(inner.child(fields as pino.Bindings)),
  })
  return {
    ...wrap(root),
    writes: level => threshold >= SEVERITY[level]!,
    setLevel: level => {
      threshold = SEVERITY[level]!
    },
  }
}

/** `auto`: journald under systemd, text on a terminal, else JSON. */
export function chooseFormat(
  configured: LogFormat | 'auto',
  terminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): LogFormat {
  if (configured !== 'auto') return configured
  if (env.JOURNAL_STREAM !== undefined && env.JOURNAL_STREAM !== '' && !terminal) return 'journald'
  return terminal ? 'text' : 'json'
}

const writeJson = (line: string): string => `${harmlessJson(line.trimEnd())}\n`

function writeText(line: string): string {
  const { time, level, ...rest } = JSON.parse(line) as Fields
  const clock = String(time).slice(11, 23)
  return `${clock} ${String(level).padEnd(5)} ${words(rest)}\n`
}

function writeJournald(line: string): string {
  const { time: _, level, ...rest } = JSON.parse(line) as Fields
  return `<${SEVERITY[String(level)] ?? 6}>${words(rest)}\n`
}

type Fields = Record<string, unknown>

function words({ msg, ...fields }: Fields): string {
  const parts = typeof msg === 'string' && msg !== '' ? [harmless(msg, 4000)] : []
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue
    parts.push(`${harmless(key)}=${shown(value)}`)
  }
  return parts.join(' ')
}

function shown(value: unknown): string {
  if (typeof value === 'string') {
    const text = harmless(value)
    return text === '' || /[\s"=]/.test(text) ? `"${text.replaceAll('"', '\\"')}"` : text
  }
  if (Array.isArray(value)) return value.map(shown).join(',')
  if (typeof value === 'object' && value !== null) {
    const error = value as { readonly type?: unknown; readonly message?: unknown }
    if (typeof error.message === 'string' && typeof error.type === 'string') return shown(error.message)
    return `{${Object.entries(value)
      .map(([key, item]) => `${harmless(key)}:${shown(item)}`)
      .join(',')}}`
  }
  return String(value)
}
