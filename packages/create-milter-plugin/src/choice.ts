/**
 * What the author wants: a name, hooks, options. Read from words, whoever gave them, and checked.
 *
 * Pure: no terminal, no file. What cannot be used throws a `CreateError` that says what would do. Called by the command line and by the
 * questions.
 */
export const HOOKS = ['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'body', 'end', 'settled'] as const
export type Hook = (typeof HOOKS)[number]

export const OPTION_TYPES = ['string', 'number', 'boolean'] as const
export type OptionType = (typeof OPTION_TYPES)[number]

export interface Option {
  readonly name: string
  readonly type: OptionType
  /** Without one the postmaster has to give it. */
  readonly initial: string | number | boolean | null
}

export interface Names {
  /** Of the npm package: `milter-plugin-x`, `@scope/milter-plugin-x`. */
  readonly package: string
  /** Of the plugin in a configuration: `x`. */
  readonly plugin: string
}

/** A mistake of whoever calls, told in one line. */
export class CreateError extends Error {}

const PREFIX = 'milter-plugin-'
/** What npm takes for a new package and `definePlugin` for a name; npm's own limit is 214 with scope and prefix. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/
const SCOPE = /^@[a-z0-9][a-z0-9._-]{0,99}$/

/** `x`, `milter-plugin-x`, `@scope/x` or `@scope/milter-plugin-x`. */
export function readName(text: string): Names {
  const parts = text.trim().split('/')
  const scope = parts.length === 2 ? parts[0]! : null
  const plugin = parts.at(-1)!.replace(PREFIX, '')
  if (parts.length > 2 || (scope !== null && !SCOPE.test(scope)) || !NAME.test(plugin))
    throw new CreateError(
      `${JSON.stringify(text)} is no name for a package: small letters, digits, "-", "_" and ".", beginning with a letter or digit, such as subject-tag or @example/subject-tag`,
    )
  return { package: `${scope === null ? '' : `${scope}/`}${PREFIX}${plugin}`, plugin }
}

/** Separated by blanks or commas; in the order of a conversation, each once. */
export function readHooks(text: string): readonly Hook[] {
  const given = wordsOf(text)
  for (const word of given)
    if (!HOOKS.includes(word as Hook))
      throw new CreateError(`there is no hook ${JSON.stringify(word)}; there are ${HOOKS.join(', ')}`)
  return HOOKS.filter(hook => given.includes(hook))
}

/** `limit:number=10 word:string`, separated by blanks or commas. */
export function readOptions(text: string): readonly Option[] {
  const options = wordsOf(text).map(readOption)
  const twice = options.find(({ name }, index) => options.findIndex(other => other.name === name) !== index)
  if (twice !== undefined) throw new CreateError(`the option ${twice.name} is there twice`)
  return options
}

function readOption(text: string): Option {
  const [, name, type = 'string', initial] = /^([A-Za-z][A-Za-z0-9]*)(?::(\w+))?(?:=(.*))?$/.exec(text) ?? []
  if (name === undefined)
    throw new CreateError(`${JSON.stringify(text)} is no option: write name:type or name:type=default`)
  if (!OPTION_TYPES.includes(type as OptionType))
    throw new CreateError(`the option ${name} cannot be a ${type}: there are ${OPTION_TYPES.join(', ')}`)
  return { name, type: type as OptionType, initial: initial === undefined ? null : readInitial(name, type, initial) }
}

function readInitial(name: string, type: string, text: string): string | number | boolean {
  if (type === 'string') return text
  const value = type === 'number' ? Number(text) : text === 'true' ? true : text === 'false' ? false : Number.NaN
  if (text === '' || (typeof value === 'number' && !Number.isFinite(value)))
    throw new CreateError(`the default of the option ${name} must be a ${type}, not ${JSON.stringify(text)}`)
  return value
}

const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter(word => word !== '')
