// A page for users with a role.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';
import { ask } from '../person.mjs';

checkSpecial('roles', 'a user without the role is told so, is offered no login, and stays logged in; a user with it gets the page', async (grace, makePerson) => {
  const page = await grace.tab('/report');
  await grace.sayWho(page);
  await grace.reads(page, 'Access denied');
  await grace.arrivesAt(page, '/report');
  assert.deepEqual(await page.getByRole('link').allTextContents(), ['Home']);
  assert.match(await page.getByRole('main').innerText(), /your account may not open this page.*not_allowed/s);
  await page.getByRole('link', { name: 'Home' }).click();
  await grace.reads(page, 'Hello, Grace Hopper');
  const { status, type, body } = await ask(page, '/report');
  assert.deepEqual([status, type, body.code, body.login_url], [403, 'application/problem+json', 'not_allowed', undefined]);
  assert.equal(await grace.isLoggedIn(), true);

  const ada = await makePerson();
  await ada.reads(await ada.logIn('/report', 'Ada Lovelace', 'auditor@example.test'), 'Ada Lovelace');
});
