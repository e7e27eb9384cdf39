/** Which values a zod schema takes, in a few words: what it says of itself (`describe`), else what follows from its kind. */

/** What is read of a schema. */
interface Schema {
  readonly description?: string | undefined
  readonly def: {
    readonly type: string
    readonly innerType?: Schema
    readonly element?: Schema
    readonly options?: readonly Schema[]
    readonly entries?: Readonly<Record<string, string>>
    readonly values?: readonly unknown[]
    readonly shape?: Readonly<Record<string, unknown>>
  }
}

/** An object of words, where there is no schema. */
export const inWords = (given: unknown): given is Readonly<Record<string, unknown>> =>
  typeof given === 'object' && given !== null && Object.getPrototypeOf(given) === Object.prototype

/** Throws for a kind of which nothing follows. */
export function wordsOf(given: unknown): string {
  if (typeof given === 'string') return given
  if (inWords(given)) return keysOf(given)
  const schema = given as Schema
  if (schema.description !== undefined) return schema.description
  const { type, innerType, element, options = [], entries = {}, values = [], shape = {} } = schema.def
  switch (type) {
    case 'optional':
    case 'default':
      return wordsOf(innerType)
    case 'array':
      return `list of ${wordsOf(element)}`
    case 'union':
      return options.map(wordsOf).join(', or ')
    case 'enum':
      return Object.values(entries)
        .map(value => `\`'${value}'\``)
        .join(', ')
    case 'literal':
      return values.map(value => `\`${String(value)}\``).join(', ')
    case 'object':
      return keysOf(shape)
    case 'boolean':
      return 'boolean'
    case 'string':
      return 'text'
    default:
      throw new Error(`says not which values it takes: give its schema words with .describe(…)`)
  }
}

const keysOf = (shape: object): string => `\`{ ${Object.keys(shape).join(', ')} }\``
