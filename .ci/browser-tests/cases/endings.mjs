// Sessions that end from outside the current page.
import assert from 'node:assert/strict';
import { ask } from '../person.mjs';
import { checkSpecial } from './check.mjs';

// providerSession returns the cookie of the browser's session at the provider. Its
// value is the sid.
async function providerSession(ada) {
  return (await ada.context.cookies(ada.world.provider)).find(({ name }) => name === 'provider-session');
}

// eve logs in a third user, and returns a check that she is still logged in.
async function eve(makePerson) {
  const person = await makePerson();
  const page = await person.logIn('/me', 'Eve', 'eve@example.test');
  return async () => assert.equal((await ask(page, '/me')).body.name, 'Eve');
}

// hasToLogIn checks that the next click leads to the login, which returns to the page.
async function hasToLogIn(person, page) {
  await page.getByRole('link', { name: 'private page' }).click();
  await person.isAsked(page);
  await person.sayWho(page);
  await person.arrivesAt(page, '/me');
  await person.reads(page, 'Grace Hopper');
}

// kept returns the names of the session's cookies.
async function kept(person) {
  return [...(await person.cookies()).keys()].map((name) => name.replace(/^__\w+-/, '')).filter((name) => /^pixy-(session|tokens)/.test(name)).sort();
}

checkSpecial('back channel', 'of a logout ends the sessions of the same session at the provider, in all browsers, and no others', async (ada, makePerson) => {
  const mine = await ada.logIn();
  const [same, elsewhere] = [await makePerson(), await makePerson()];
  await same.context.addCookies([await providerSession(ada)]);
  const theirs = await same.logIn();
  await elsewhere.logIn();
  const eveStays = await eve(makePerson);
  assert.equal((await providerSession(same)).value, (await providerSession(ada)).value);
  assert.notEqual((await providerSession(elsewhere)).value, (await providerSession(ada)).value);

  const { revocations } = await ada.world.seen();
  await mine.getByRole('button', { name: 'Log out', exact: true }).click();
  await ada.reads(mine, 'You are not logged in');
  assert.equal((await ada.world.seen()).revocations, revocations + 1, 'the tokens were not revoked');
  assert.equal(await ada.isLoggedIn(), false);
  assert.equal(await same.isLoggedIn(), false);
  assert.equal(await elsewhere.isLoggedIn(), true);
  await eveStays();
  await hasToLogIn(same, theirs);
});

checkSpecial('logout everywhere', 'ends the user\'s session in another browser at the next click, and no other user\'s', async (ada, makePerson) => {
  const mine = await ada.logIn();
  const other = await makePerson();
  const theirs = await other.logIn();
  const eveStays = await eve(makePerson);
  await mine.getByRole('button', { name: 'Log out everywhere' }).click();
  await ada.reads(mine, 'You are not logged in');
  await eveStays();
  await hasToLogIn(other, theirs);
  await hasToLogIn(ada, mine);
});

checkSpecial('front channel', 'of a logout on the same site: the provider\'s frame ends the session and deletes its cookies', async (ada) => {
  const page = await ada.logIn();
  assert.deepEqual(await kept(ada), ['pixy-session', 'pixy-tokens']);
  const { cookie } = await logOutAtProvider(ada);
  assert.match(cookie, /pixy-session=/);
  assert.deepEqual(await kept(ada), []);
  await hasToLogIn(ada, page);
});

// Browsers do not send Lax cookies here. This browser sends no cookies at all, because
// its contexts block cookies in frames of another site. Another case checks Lax.
checkSpecial('front channel from another site', 'arrives without cookies, and the session stays', async (ada) => {
  await ada.logIn();
  const session = await ada.sessionCookie();
  const { cookie } = await logOutAtProvider(ada);
  assert.equal(cookie, undefined);
  assert.equal(await ada.sessionCookie(), session);
  assert.equal(await ada.isLoggedIn(), true);
});

// logOutAtProvider logs out on the provider's page, and returns the request headers
// of its frame.
async function logOutAtProvider(ada) {
  const page = await ada.tab(`${ada.world.provider}/account?client=${ada.world.channel}`);
  const asked = page.waitForResponse((response) => response.url().startsWith(`${ada.world.app}/auth/frontchannel-logout`));
  await page.getByRole('button', { name: 'Log out' }).click();
  const answer = await asked;
  assert.equal(answer.status(), 200);
  await page.waitForLoadState();
  const [, frame] = page.frames();
  assert.equal(await frame.title(), 'Logout', 'the frame is not shown');
  return answer.request().allHeaders();
}

checkSpecial('framed by others', 'the logout page is not shown, and neither another site nor a guessed sid ends the session', async (ada) => {
  await ada.logIn();
  const session = await ada.sessionCookie();
  const { value: sid } = await providerSession(ada);
  for (const [origin, theSid] of [[ada.world.evil, sid], [ada.world.sibling, 'a guess']]) {
    const page = await ada.tab(`${origin}/link`);
    const query = new URLSearchParams({ iss: ada.world.provider, sid: theSid });
    const complaint = page.waitForEvent('console', (message) => message.text().includes('frame-ancestors'));
    await page.evaluate((src) => {
      document.body.append(Object.assign(document.createElement('iframe'), { src }));
    }, `${ada.world.app}/auth/frontchannel-logout?${query}`);
    await complaint;
    await page.frames()[1].waitForURL('chrome-error://chromewebdata/');
    assert.equal(await ada.sessionCookie(), session);
    assert.equal(await ada.isLoggedIn(), true);
  }
});
