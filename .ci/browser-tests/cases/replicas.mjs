// Three replicas behind a balancer: examples/replicas.
import assert from 'node:assert/strict';
import { checkSpecial } from './check.mjs';

checkSpecial('replicas', 'answer in turn, call an API, change their key and die without ending sessions, until a user logs out everywhere', async (ada, makePerson) => {
  const page = await ada.logIn();
  const other = await makePerson();
  const theirs = await other.logIn();
  const answered = new Set();
  for (let visits = 0; answered.size < 3; visits += 1) {
    assert.ok(visits < 9, `only these answer: ${[...answered]}`);
    await page.reload();
    answered.add(await page.getByText('Answered by replica').innerText());
  }
  await page.getByRole('link', { name: 'Call an API' }).click();
  await ada.reads(page, 'API call');
  await page.getByText('grace@example.test').waitFor();

  const balancer = await ada.tab('/balancer');
  await balancer.getByRole('button', { name: 'Change the session key' }).click();
  await balancer.waitForURL(`${ada.world.app}/balancer`);
  await balancer.getByRole('button', { name: /^Kill/ }).first().click();
  await ada.reads(balancer, 'Balancer');
  assert.equal(await ada.isLoggedIn(), true);
  assert.equal(await other.isLoggedIn(), true);

  await page.getByRole('link', { name: 'Your claims' }).click();
  await page.getByRole('button', { name: 'Log out everywhere' }).click();
  await ada.reads(page, 'You are not logged in');
  await theirs.getByRole('link', { name: 'Home' }).click();
  await other.reads(theirs, 'You are not logged in');
  await theirs.getByRole('link', { name: 'private page' }).click();
  await other.isAsked(theirs);
});
