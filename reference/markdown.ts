/** The reference as a page: what declarations say, under headings. Pure. */
import type { Declaration } from './declarations.ts'

export interface ToldSection {
  title: string
  about: string
  declarations: readonly Declaration[]
}

const head = `# Reference

Each name that a job or its test imports, with its type and what it promises. Made from the source by
\`bun run reference\`: what is wrong here is corrected there. [jobs.md](jobs.md) explains, with examples.
`

export function pageOf(sections: readonly ToldSection[]): string {
  const link = linker()
  const list = sections.map(({ title, declarations }) => {
    const names = [link(title), declarations.map(({ name }) => link(name)).join(', ')]
    return `- ${names.join(': ')}\n`
  })
  return [head, list.join(''), ...sections.map(sectionOf)].join('\n')
}

/** Of headings that differ in case alone, or not at all, the later ones have a number. */
function linker(): (heading: string) => string {
  const used = new Map<string, number>()
  return (heading) => {
    const anchor = heading.toLowerCase().replaceAll(' ', '-')
    const before = used.get(anchor) ?? 0
    used.set(anchor, before + 1)
    return `[${heading}](#${anchor}${before === 0 ? '' : `-${before}`})`
  }
}

function sectionOf({ title, about, declarations }: ToldSection): string {
  return [`## ${title}\n`, `${about}\n`, ...declarations.map(declarationText)].join('\n')
}

function declarationText({ name, signatures, doc, members }: Declaration): string {
  const code = `\`\`\`ts\n${signatures.join('\n')}\n\`\`\`\n`
  const list = members.map((member) => `- \`${member.signature}\`${said(member.doc)}\n`).join('')
  return [
    `### ${name}\n`,
    code,
    ...(doc ? [`${paragraph(doc)}\n`] : []),
    ...(list ? [list] : []),
  ].join('\n')
}

const said = (doc: string) => (doc ? `<br>${paragraph(doc)}` : '')

const paragraph = (doc: string) => doc.replace(/@throws (\w+)/g, '_Throws_ `$1`')
