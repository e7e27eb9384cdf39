/**
 * How a plugin describes its options: any schema that follows Standard Schema 1 (zod, valibot, arktype, hand-written).
 *
 * Only the shape, copied from the specification so that the host depends on no schema library at type level.
 */

/** A Standard Schema 1: what it takes (`In`) and what it makes of it (`Out`). */
export interface Schema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

export type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** What is written in the configuration. */
export type OptionsIn<S> = S extends Schema<infer In, unknown> ? In : never

/** What `setup` gets: checked, every default filled in. */
export type OptionsOut<S> = S extends Schema<unknown, infer Out> ? Out : never
