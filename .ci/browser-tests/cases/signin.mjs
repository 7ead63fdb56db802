// An application's own sign-in page, with two providers.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

const report = '/private/report?part=2';

// chooses opens a guarded page, and chooses a provider on the sign-in page.
async function chooses(ada, page, label) {
  await ada.open(page, report);
  await ada.reads(page, 'Sign in');
  assert.equal(page.url(), `${ada.world.app}/signin?return_to=${encodeURIComponent(report)}`);
  await page.getByRole('link', { name: label }).click();
  await ada.isAsked(page);
  return new URL(page.url()).origin;
}

checkSpecial('own sign-in page', 'leads from a guarded page to each provider, and back to the page', async (ada) => {
  const page = await ada.tab(report);
  await ada.reads(page, 'Sign in');
  assert.equal(await ada.attempts(), 0);
  const providers = new Set();
  for (const label of ['Sign in with Müller & Söhne GmbH', 'Sign in with the portal']) {
    const provider = await chooses(ada, page, label);
    await ada.sayWho(page);
    await ada.arrivesAt(page, report);
    await ada.reads(page, 'Grace Hopper');
    await page.getByText(provider).waitFor();
    providers.add(provider);
    assert.equal(await ada.attempts(), 0);
    await page.goBack(); // over the provider's page
    await ada.open(page, report);
    await ada.reads(page, 'Grace Hopper');
    await page.getByRole('button', { name: 'Log out' }).click();
    await ada.reads(page, 'You are logged out');
    assert.equal(page.url(), `${ada.world.app}/auth/logout`);
    assert.equal(ada.visited.filter((url) => url.startsWith(`${provider}/end-session?`)).length, 1);
    assert.deepEqual([...(await ada.cookies()).keys()], []);
    await page.getByRole('link', { name: 'Log in' }).click();
    await ada.reads(page, 'Sign in');
    assert.equal(page.url(), `${ada.world.app}/signin`);
  }
  assert.equal(providers.size, 2);
});

checkSpecial('own sign-in page, canceled', 'lets the user try again, and choose another provider', async (ada) => {
  const page = await ada.context.newPage();
  const first = await chooses(ada, page, 'Sign in with the portal');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await ada.reads(page, 'You were not logged in');
  await page.getByRole('link', { name: 'Try again' }).click();
  await ada.isAsked(page);
  assert.equal(new URL(page.url()).origin, first);
  assert.notEqual(await chooses(ada, page, 'Sign in with Müller & Söhne GmbH'), first);
  await ada.sayWho(page);
  await ada.arrivesAt(page, report);
});

checkSpecial('own sign-in page, scripts', 'tells scripts where it is, and a form that its values are lost', async (ada) => {
  const page = await ada.tab('/');
  await ada.reads(page, 'Nobody');
  const { status, redirected, body } = await ask(page, report);
  assert.deepEqual([status, redirected, body.code, body.login_url], [401, false, 'login_required', '/signin']);
  await page.getByRole('button', { name: 'Send' }).click();
  await ada.reads(page, 'Please log in');
  await page.getByText('What you entered was not saved.').waitFor();
  await page.getByRole('link', { name: 'Log in' }).click();
  await ada.reads(page, 'Sign in');
  await page.getByRole('link', { name: 'Sign in with the portal' }).click();
  await ada.sayWho(page);
  await ada.arrivesAt(page, '/');
  await ada.reads(page, 'Grace Hopper');
});
