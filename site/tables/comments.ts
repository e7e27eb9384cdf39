/**
 * What the doc comments of `src/` say of the members of a type and of functions.
 *
 * Types are followed as the compiler follows them, so that what a type takes over from another is there too. Nothing is checked that the
 * compiler of the project checks anyway; packages are not looked into.
 */
import { dirname, resolve } from 'node:path'
import ts from 'typescript'

export interface Comment {
  /** Markdown, as all of it. Empty where there is no comment. */
  readonly summary: string
  readonly remarks: string
  /** What stands behind `@default`. */
  readonly initial: string | null
  /** What stands behind each `@example`. */
  readonly examples: readonly string[]
}

export interface Member {
  readonly name: string
  readonly optional: boolean
  readonly comment: Comment
  /** As it is written. */
  readonly type: string
  /** Members of the objects that it may be. */
  readonly members: () => readonly Member[]
}

export interface Callable {
  readonly name: string
  readonly comment: Comment
  readonly parameters: readonly Parameter[]
  /** The name of the type. */
  readonly returns: string
}

export interface Parameter extends Member {
  readonly rest: boolean
  /** Taken apart where it is declared, or named `options`: what counts are its members. */
  readonly bag: boolean
  /** What it is when it is not given, as it is written. */
  readonly initializer: string | null
  /** The same of its members, where it is taken apart. */
  readonly initializers: ReadonlyMap<string, string>
}

export class Comments {
  readonly #root: string
  readonly #program: ts.Program
  readonly #checker: ts.TypeChecker

  /** @param files below `root`; what they import is read too */
  constructor(root: string, files: readonly string[]) {
    const options: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2024,
      lib: ['lib.es2024.d.ts'],
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      strict: true,
      types: [],
      allowImportingTsExtensions: true,
      noEmit: true,
    }
    const host = ts.createCompilerHost(options)
    host.resolveModuleNameLiterals = (names, from) =>
      names.map(({ text }) => ({
        resolvedModule: text.startsWith('.')
          ? { resolvedFileName: resolve(dirname(from), text), extension: ts.Extension.Ts }
          : undefined,
      }))
    this.#root = root
    this.#program = ts.createProgram(
      files.map(file => resolve(root, file)),
      options,
      host,
    )
    this.#checker = this.#program.getTypeChecker()
  }

  /** Of an interface that the file declares. */
  membersOf(file: string, name: string): readonly Member[] {
    const found = this.#source(file).statements.find(
      statement => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
    )
    if (found === undefined) throw new Error(`${file} declares no interface ${name}`)
    return this.#members(this.#checker.getTypeAtLocation(found))
  }

  /** That the file exports, its own and those it hands on, in order. */
  functionsOf(file: string): readonly Callable[] {
    const module = this.#checker.getSymbolAtLocation(this.#source(file))!
    return this.#checker.getExportsOfModule(module).flatMap(exported => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(exported) : exported
      const signature = symbol.valueDeclaration && this.#checker.getTypeOfSymbol(symbol).getCallSignatures()[0]
      if (signature === undefined) return []
      const parameters = signature.getParameters().map(parameter => this.#parameter(parameter))
      const returns = this.#checker.typeToString(signature.getReturnType())
      return [{ name: exported.name, comment: this.#comment(symbol), parameters, returns }]
    })
  }

  #parameter(symbol: ts.Symbol): Parameter {
    const { name, dotDotDotToken, initializer } = symbol.valueDeclaration as ts.ParameterDeclaration
    const elements = ts.isObjectBindingPattern(name) ? name.elements : []
    return {
      ...this.#member(symbol),
      rest: dotDotDotToken !== undefined,
      bag: ts.isObjectBindingPattern(name) || symbol.name === 'options',
      initializer: initializer?.getText() ?? null,
      initializers: new Map(
        elements.flatMap(element =>
          element.initializer === undefined ? [] : [[element.name.getText(), element.initializer.getText()]],
        ),
      ),
    }
  }

  #source(file: string): ts.SourceFile {
    const source = this.#program.getSourceFile(resolve(this.#root, file))
    if (source === undefined) throw new Error(`${file} is not there`)
    return source
  }

  #members(type: ts.Type): readonly Member[] {
    return type.getProperties().map(property => this.#member(property))
  }

  #member(symbol: ts.Symbol): Member {
    const declaration = symbol.valueDeclaration as
      | (ts.PropertySignature & { readonly initializer?: ts.Expression })
      | ts.ParameterDeclaration
    return {
      name: symbol.name,
      optional: declaration.questionToken !== undefined || declaration.initializer !== undefined,
      comment: this.#comment(symbol),
      type: declaration.type?.getText() ?? '',
      members: () =>
        this.#alternatives(this.#checker.getTypeOfSymbol(symbol))
          .filter(type => !this.#checker.isArrayLikeType(type) && type.getCallSignatures().length === 0)
          .flatMap(type => this.#members(type)),
    }
  }

  /** The objects among what a value may be. */
  #alternatives(type: ts.Type): readonly ts.Type[] {
    const all = type.isUnion() ? type.types : [type]
    return all.filter(one => one.flags & ts.TypeFlags.Object)
  }

  #comment(symbol: ts.Symbol): Comment {
    const tags = symbol.getJsDocTags(this.#checker)
    const said = (name: string): string[] =>
      tags.filter(tag => tag.name === name).map(tag => ts.displayPartsToString(tag.text))
    return {
      summary: plain(ts.displayPartsToString(symbol.getDocumentationComment(this.#checker))),
      remarks: plain(said('remarks').join('\n\n')),
      initial: said('default').map(plain)[0] ?? null,
      examples: said('example'),
    }
  }
}

/** Where a line only ends because it is full, it goes on; paragraphs and the points of a list end. */
const plain = (text: string): string =>
  text
    .replace(/(?<!\n)\n(?!\n|- ) */g, ' ')
    .replace(/\n\n+/g, '\n\n')
    .trim()
