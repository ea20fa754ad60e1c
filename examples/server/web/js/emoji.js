// Emoji to choose from. All of them are with the system's keyboard.

export const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🙏', '🎉', '🔥'];

export const EMOJI = {
  Smileys: '😀 😄 😁 😅 😂 🤣 🙂 😉 😊 😇 🥰 😍 🤩 😘 😋 😜 🤗 🤔 😐 😏 🙄 😴 🤯 🥳 😎 🤓 😕 😮 😳 🥺 😢 😭 😱 😡 👻 🤖',
  Hands: '👍 👎 👌 ✌️ 🤞 ✋ 👋 👏 🙌 🤝 🙏 💪 ✍️ 🤷 🤦',
  Hearts: '❤️ 🧡 💛 💚 💙 💜 🖤 🤍 💔 💖 💯 ✨ ⭐ 🔥 🎉 🎁 🎂 🏆',
  Nature: '🐶 🐱 🦊 🐼 🐸 🦋 🌸 🌻 🌍 ☀️ ❄️ 🌈',
  Food: '🍎 🍓 🍔 🍟 🍕 🍦 🍰 🍺 🍷 🥂 ☕ 🍵',
  Things: '⚽ 🏀 🎮 🎸 📷 💻 📱 💡 📚 ✏️ ⏰ 🔑 🔔 💰 ✅ ❌ ❓ ❗ 🚗 🚲 ✈️ 🚀 🏠 🏖️',
};
