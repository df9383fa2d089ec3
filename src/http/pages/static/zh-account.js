// The texts of /account in Chinese.
export default {
  "profile.no_timezone": "未设置",
  "profile.saved": "已保存。",

  "address.is_verified": "已确认",
  "address.is_unverified": "未确认",
  "address.sent": "邮件已发往 {email}，其中的链接 24 小时内有效。",
  "address.asked": "如果没有其他账号使用 {email}，您将在该邮箱收到一封带有链接的邮件。链接 1 小时内有效。请在此浏览器中打开链接，或在打开的页面输入密码。",

  "password.set": "设置密码",
  "password.changed": "密码已更改，其他设备均已退出登录。",

  "sessions.current": "当前登录",
  "sessions.from": "来自 {ip}",
  "sessions.from_nowhere": "来自未知地址",
  "sessions.times": "登录于 {began}，最近使用 {used}",
  "sessions.end": "结束",
  "sessions.end_label": "结束 {device} 的登录",
  "sessions.ended": "该登录已结束。",
  "sessions.ended_others": "其他所有登录均已结束。",
  "device.browser_on": "{system} 上的 {browser}",
  "device.program": "{name}",
  "device.unknown": "未知程序",

  "export.done": "文件已保存到下载内容中。其中含有您的登录位置，请妥善保管。",

  "here.auth.reauthentication_required": "没有密码的账号需要在最近 10 分钟内登录过才能进行此操作。请在下方退出登录，重新登录，然后再试。",
  "here.auth.user_suspended": "此账号已被停用，无法进行任何更改，原因请咨询服务器管理员。",
  "here.auth.otp_rate_limited": "发往此邮箱的邮件已达上限。请查收已有邮件（包括垃圾邮件文件夹），或在{wait}后重试。",
};
