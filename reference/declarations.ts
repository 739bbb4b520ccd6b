/**
 * The exported declarations of a source file, cut from its text: signature, doc comment, members. Pure.
 *
 *   text → syntax tree and comments → a declaration each; overloads of a function are one
 */
import {
  type Comment,
  parseSync,
  type Class,
  type ClassElement,
  type Declaration as Declared,
  type Function as DeclaredFunction,
  type Statement,
  type TSSignature,
  type VariableDeclaration,
} from 'oxc-parser'

export interface Declaration {
  name: string
  /** One a line; several for overloads. */
  signatures: string[]
  doc: string
  members: Member[]
}

export interface Member {
  signature: string
  doc: string
}

interface Source {
  text: string
  comments: readonly Comment[]
}

/** In the file's order. @throws where the text is no TypeScript, or an export is of an unknown form */
export function declarationsOf(path: string, text: string): Declaration[] {
  const { program, comments, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`)
  const found = new Map<string, Declaration>()
  for (const statement of program.body) {
    const declared = declarationOf(statement, { text, comments })
    if (!declared) continue
    const before = found.get(declared.name)
    if (!before) found.set(declared.name, declared)
    // The function that implements overloads says nothing that they don't.
    else if (!implemented(statement)) before.signatures.push(...declared.signatures)
  }
  return [...found.values()]
}

function declarationOf(statement: Statement, source: Source): Declaration | null {
  if (statement.type !== 'ExportNamedDeclaration' || !statement.declaration) return null
  const doc = docBefore(source, statement.start)
  return { members: [], ...contentOf(statement.declaration, source), doc }
}

const implemented = (statement: Statement) =>
  statement.type === 'ExportNamedDeclaration' &&
  statement.declaration?.type === 'FunctionDeclaration'

function contentOf(node: Declared, source: Source): Pick<Declaration, 'name' | 'signatures'> {
  const cut = (from: number, to: number) => oneLine(source.text.slice(from, to))
  switch (node.type) {
    case 'TSInterfaceDeclaration': {
      const members = node.body.body.map((member) => memberOf(member, source))
      return named(node.id.name, cut(node.start, node.body.start), { members })
    }
    case 'TSTypeAliasDeclaration':
      return named(node.id.name, cut(node.start, node.end))
    case 'TSDeclareFunction':
    case 'FunctionDeclaration':
      return functionOf(node, source)
    case 'ClassDeclaration':
      return classOf(node, source)
    case 'VariableDeclaration':
      return constantOf(node, source)
    case 'ClassExpression':
    case 'FunctionExpression':
    case 'TSEmptyBodyFunctionExpression':
    case 'TSEnumDeclaration':
    case 'TSImportEqualsDeclaration':
    case 'TSModuleDeclaration':
      throw new Error(`the reference can't tell of an exported ${node.type}`)
    default:
      return node satisfies never
  }
}

const named = (name: string, signature: string, more: Partial<Declaration> = {}) => ({
  name,
  signatures: [signature],
  ...more,
})

function functionOf(node: DeclaredFunction, { text }: Source) {
  const signature = oneLine(text.slice(node.start, node.body?.start ?? node.end))
  return named(node.id!.name, signature)
}

function classOf(node: Class, source: Source) {
  const members = node.body.body.flatMap((element) => methodOf(element, source) ?? [])
  const head = oneLine(source.text.slice(node.start, node.body.start))
  return named(node.id!.name, head, { members })
}

/** `const f = (x: X): Y => …` is told as a function. */
function constantOf({ declarations }: VariableDeclaration, { text }: Source) {
  const [{ id, init }] = declarations as [(typeof declarations)[number]]
  if (id.type !== 'Identifier') throw new Error('an exported constant must have a name')
  if (init?.type !== 'ArrowFunctionExpression' || !init.returnType) {
    return named(id.name, `const ${id.name}`)
  }
  const signature = oneLine(text.slice(init.start, init.returnType.end))
  return named(id.name, `function ${id.name}${signature}`)
}

function memberOf(member: TSSignature, source: Source): Member {
  const signature = oneLine(source.text.slice(member.start, member.end))
  return { signature, doc: docBefore(source, member.start) }
}

/** Public methods and getters. */
function methodOf(element: ClassElement, source: Source): Member | null {
  if (element.type !== 'MethodDefinition' || element.kind === 'constructor') return null
  if (element.key.type === 'PrivateIdentifier') return null
  const { start, value } = element
  const signature = oneLine(source.text.slice(start, value.body?.start ?? value.end))
  return { signature: signature.replace(/^async /, ''), doc: docBefore(source, start) }
}

/** The text of the doc comment that ends right before a place. */
function docBefore({ text, comments }: Source, start: number): string {
  const comment = comments.findLast(({ end }) => end <= start)
  if (!comment?.value.startsWith('*')) return ''
  if (text.slice(comment.end, start).trim() !== '') return ''
  const lines = comment.value
    .slice(1)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim())
  return lines.join(' ').replace(/\s+/g, ' ').trim()
}

/** Without the comments within, which belong to parts of it, and without what only wrapping needs. */
function oneLine(text: string): string {
  return text
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/([([<]) /g, '$1')
    .replace(/,? ([)\]])/g, '$1')
    .replace(/, >/g, '>')
    .replace(/([=:<]) \| /g, (_, sign: string) => (sign === '<' ? sign : `${sign} `))
    .trim()
}
