/**
 * What can be seen of a schema from outside: the options it names, at any depth, and which of those that were given it does not name.
 *
 * A Standard Schema only validates; this reads what zod and valibot keep of it. What it does not understand may hold anything.
 */
import { pathText, suggestion } from '../config/problem.ts'

export interface UnknownKey {
  readonly key: string
  readonly path: readonly (string | number)[]
  readonly text: string
}

type Path = UnknownKey['path']

/** Keys that no object of the schema names: also inside of lists, of maps, and of one choice of several. */
export function unknownKeys(schema: unknown, input: unknown, path: Path = []): readonly UnknownKey[] {
  if (typeof input !== 'object' || input === null) return []
  const { def, item, value, type } = unwrapped(schema)
  if (Array.isArray(input)) {
    const element = def?.element ?? item
    return input.flatMap((each, at) => unknownKeys(element, each, [...path, at]))
  }
  if ((def?.type ?? type) === 'record') {
    const of = def?.valueType ?? value
    return Object.entries(input).flatMap(([key, each]) => unknownKeys(of, each, [...path, key]))
  }
  const shapes = shapesOf(schema)
  if (shapes === null) return []
  const known = new Set(shapes.flatMap(shape => Object.keys(shape)))
  return Object.entries(input).flatMap(([key, each]) => {
    const here = [...path, key]
    if (known.has(key)) {
      const of = shapes.filter(shape => Object.hasOwn(shape, key)).map(shape => unknownKeys(shape[key], each, here))
      return of.toSorted((one, other) => one.length - other.length)[0]!
    }
    const hint = suggestion(key, [...known]) || (known.size > 0 ? `; it has ${[...known].join(', ')}` : '')
    return [{ key, path: here, text: `there is no option ${pathText(here)}${hint}` }]
  })
}

/** Of an object, or of the objects among the choices; `null` where any key may be. */
function shapesOf(schema: unknown): Record<string, unknown>[] | null {
  const { def, options, type } = unwrapped(schema)
  if ((def?.type ?? type) !== 'union') {
    const shape = shapeOf(schema)
    return shape === null ? null : [shape]
  }
  const shapes: Record<string, unknown>[] = []
  for (const choice of def?.options ?? options ?? []) {
    const { def: inner, type: kind } = unwrapped(choice)
    if (SCALARS.has(String(inner?.type ?? kind))) continue
    const found = shapesOf(choice)
    if (found === null) return null
    shapes.push(...found)
  }
  return shapes.length === 0 ? null : shapes
}

/** Kinds of value that hold no keys, as zod and valibot call them. */
const SCALARS: ReadonlySet<string> = new Set(
  'string number int boolean bigint date literal enum picklist null undefined nan template_literal function array tuple'.split(
    ' ',
  ),
)

interface SchemaLike {
  /** zod objects. */
  readonly shape?: unknown
  /** valibot objects. */
  readonly entries?: unknown
  readonly def?: {
    readonly type?: unknown
    readonly catchall?: unknown
    /** What a default, an optional or a transformation is laid around. */
    readonly innerType?: unknown
    readonly in?: unknown
    /** Of lists, maps and choices. */
    readonly element?: unknown
    readonly valueType?: unknown
    readonly options?: readonly unknown[]
  }
  readonly wrapped?: unknown
  readonly type?: unknown
  readonly item?: unknown
  readonly value?: unknown
  readonly options?: readonly unknown[]
}

/** The keys of an object schema with the schema of each; `null` for others and for those that let any key through. */
export function shapeOf(schema: unknown): Record<string, unknown> | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { shape, entries, def, type } = unwrapped(schema)
  if (typeof type === 'string' && /loose|rest/.test(type)) return null
  const catchall = def?.catchall as { readonly def?: { readonly type?: unknown } } | undefined
  if (catchall !== undefined && catchall.def?.type !== 'never') return null
  const found = shape ?? entries
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : null
}

/** Without what is laid around it. */
function unwrapped(schema: unknown): SchemaLike {
  if (typeof schema !== 'object' || schema === null) return {}
  const { def, wrapped } = schema as SchemaLike
  const inner = def?.innerType ?? def?.in ?? wrapped
  return inner === undefined ? (schema as SchemaLike) : unwrapped(inner)
}
