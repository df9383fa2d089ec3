// The texts of /account in English.
export default {
  "profile.no_timezone": "None",
  "profile.saved": "Saved.",

  "address.is_verified": "confirmed",
  "address.is_unverified": "not confirmed",
  "address.sent": "A mail is on its way to {email}. Its link works for 24 hours.",
  "address.asked": "If no other account has the address {email}, a mail with a link is on its way to it. The link works for one hour. Open the link in this browser, or enter your password there.",

  "password.set": "Set a password",
  "password.changed": "The password is changed. All other devices are signed out.",

  "sessions.current": "this one",
  "sessions.from": "From {ip}",
  "sessions.from_nowhere": "From an unknown address",
  "sessions.times": "Signed in {began}, last used {used}",
  "sessions.end": "End",
  "sessions.end_label": "End the session of {device}",
  "sessions.ended": "The session has ended.",
  "sessions.ended_others": "All other sessions have ended.",
  "device.browser_on": "{browser} on {system}",
  "device.program": "{name}",
  "device.unknown": "An unknown program",

  "export.done": "The file is in your downloads. It tells where you were: keep it to yourself.",

  "here.auth.reauthentication_required": "An account without a password needs a sign-in of the last 10 minutes for this. Sign out below, sign in again, and repeat it.",
  "here.auth.user_suspended": "This account has been suspended, so you cannot change it. Ask the operator of this server why.",
  "here.auth.otp_rate_limited": "This address has been sent enough mails for now. Look for them, also in the spam folder, or try again in {wait}.",
};
