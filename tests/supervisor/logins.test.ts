import { expect, test } from 'bun:test'
import { environmentOf } from '../../supervisor/logins.ts'

const environment = {
  PATH: '/bin',
  REDIS_URL: 'redis://supervisor@host',
  REDIS_URL_EXECUTOR: 'redis://executor@host',
  REDIS_URL_WEB: 'redis://web@host',
}

test('a child has its own login and nobody else’s; without one the supervisor’s', () => {
  const { PATH } = environment
  expect(environmentOf('executor', environment)).toEqual({
    PATH,
    REDIS_URL: 'redis://executor@host',
  })
  expect(environmentOf('web', environment)).toEqual({ PATH, REDIS_URL: 'redis://web@host' })
  expect(environmentOf('bridge', environment)).toEqual({
    PATH,
    REDIS_URL: 'redis://supervisor@host',
  })
})
