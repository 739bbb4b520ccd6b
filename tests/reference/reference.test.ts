import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { exports } from '../../package.json'
import { contents } from '../../reference/contents.ts'
import { declarationsOf } from '../../reference/declarations.ts'
import { pageOf } from '../../reference/markdown.ts'
import { referenceFile, referencePage } from '../../reference/page.ts'

test('docs/reference.md is what `bun run reference` writes', () => {
  expect(readFileSync(referenceFile, 'utf8')).toBe(referencePage())
})

test('each module that the package exports is told of', () => {
  const told = contents.flatMap(({ files }) => files.map(({ path }) => `./${path}`))
  expect(told).toEqual(expect.arrayContaining(Object.values(exports)))
})

const only = (text: string) => declarationsOf('a.ts', text)[0]!

test('the comment that stands right before an export is its own', () => {
  expect(only('/** Of the file. */\nconst a = 1\nexport type B = 1')).toMatchObject({ doc: '' })
  expect(only('/* not for readers */ export type B = 1')).toMatchObject({ doc: '' })
  expect(only('/**\n * Two\n * lines.\n */\nexport type B = 1')).toMatchObject({
    doc: 'Two lines.',
  })
})

test('overloads are one declaration, without the function that implements them', () => {
  const text = `/** Doc. */
export function f(a: string): void
export function f(a: number, b?: string): void
export function f(a: unknown) {}`
  expect(declarationsOf('a.ts', text)).toEqual([
    {
      name: 'f',
      doc: 'Doc.',
      members: [],
      signatures: ['function f(a: string): void', 'function f(a: number, b?: string): void'],
    },
  ])
})

test('a function that is a constant is told as one, without its body', () => {
  const text = 'export const f = <A>(\n  a: A,\n): A[] =>\n  [a]'
  expect(only(text).signatures).toEqual(['function f<A>(a: A): A[]'])
})

test('members with their comments; of a class what is public', () => {
  const text = `export class A {
  readonly #b: string
  constructor(b: string) { this.#b = b }
  /** How long. */
  get length(): number { return this.#c() }
  async read(at: number): Promise<string> { return this.#b }
  #c() { return 1 }
}`
  expect(only(text).members).toEqual([
    { signature: 'get length(): number', doc: 'How long.' },
    { signature: 'read(at: number): Promise<string>', doc: '' },
  ])
  expect(only('export interface I<\n  A,\n> {\n  /** One. */\n  a:\n    | A\n    | 1\n}')).toEqual({
    name: 'I',
    doc: '',
    signatures: ['interface I<A>'],
    members: [{ signature: 'a: A | 1', doc: 'One.' }],
  })
})

test('what is no TypeScript, and what has no place in the reference, is refused', () => {
  expect(() => declarationsOf('a.ts', 'export type = 1')).toThrow('a.ts: ')
  expect(() => declarationsOf('a.ts', 'export enum A { B }')).toThrow('TSEnumDeclaration')
})

test('headings that differ in case alone have links of their own', () => {
  const declarations = ['makeIt', 'MakeIt'].map((name) => ({
    name,
    signatures: [],
    doc: '',
    members: [],
  }))
  const page = pageOf([{ title: 'It', about: '', declarations }])
  expect(page).toContain('[It](#it): [makeIt](#makeit), [MakeIt](#makeit-1)')
})
