// The texts of /reset in Chinese.
export default {
  "reset.invalid_title": "链接已失效",
  "reset.invalid": "链接已被使用、已过期，或者已被更新的邮件取代。请输入您账号的邮箱地址，重新获取链接。",
  "reset.sent": "如果 {email} 已注册账号，您将收到一封带有链接的邮件。链接 1 小时内有效。",
};
