/**
 * The options of a plugin as its schema tells them: names, which must be given, defaults. Nothing of the plugin runs.
 *
 * A Standard Schema only validates; names and defaults are read from what zod and valibot keep of them, and are not known for others. Called by
 * `milterhost plugins`.
 */
import type { Schema } from './schema.ts'
import { shapeOf } from './schema-shape.ts'

export interface OptionInfo {
  readonly name: string
  /** It has to be given. */
  readonly required: boolean
  /** `undefined` when it has none, or none that can be read. */
  readonly initial?: unknown
}

const SCHEMA: unique symbol = Symbol.for('milterhost.plugin.options') as never

/** Leaves the schema with the factory, where `optionsOf` finds it: of another copy of this package too. */
export const keepSchema = (factory: object, schema: Schema | undefined): void =>
  void Object.defineProperty(factory, SCHEMA, { value: schema ?? null })

/** `null` when they cannot be known; empty for a plugin that takes none. */
export function optionsOf(factory: object): readonly OptionInfo[] | null {
  if (!(SCHEMA in factory)) return null
  const schema = (factory as { readonly [SCHEMA]: Schema | null })[SCHEMA]
  if (schema === null) return []
  const shape = shapeOf(schema)
  if (shape === null) return null
  return Object.entries(shape).map(([name, of]) => {
    const initial = initialOf(of)
    return { name, required: initial === undefined && isRequired(of), ...(initial === undefined ? {} : { initial }) }
  })
}

interface WithDefault {
  /** zod. */
  readonly def?: { readonly defaultValue?: unknown; readonly innerType?: unknown; readonly in?: unknown }
  /** valibot. */
  readonly default?: unknown
  readonly wrapped?: unknown
}

function initialOf(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { def, wrapped, default: initial } = schema as WithDefault
  if (def?.defaultValue !== undefined) return def.defaultValue
  if (initial !== undefined && typeof initial !== 'function') return initial
  return initialOf(def?.innerType ?? def?.in ?? wrapped)
}

/** Whether nothing will do. A schema that answers later, or throws, is taken to mind. */
function isRequired(schema: unknown): boolean {
  const result = (schema as Schema)['~standard'].validate(undefined)
  return result instanceof Promise || result.issues !== undefined
}
