/* Small tools that every view uses: text, elements, icons, formats, storage. Knows nothing of lessons. */
(function () {
  'use strict';
  var BBT = window.BBT = window.BBT || {};
  var SVG = 'http://www.w3.org/2000/svg';
  var LANGUAGES = ['zh-CN', 'en'];

  /* localStorage throws when the kiosk forbids it; the player then simply forgets. */
  BBT.store = {
    get: function (key) {
      try { return window.localStorage.getItem('bbt.' + key); } catch (e) { return null; }
    },
    set: function (key, value) {
      try { window.localStorage.setItem('bbt.' + key, value); } catch (e) { /* full or forbidden */ }
    },
    remove: function (key) {
      try { window.localStorage.removeItem('bbt.' + key); } catch (e) { /* forbidden */ }
    },
    keys: function (prefix) {
      var found = [], i, key;
      try {
        for (i = 0; i < window.localStorage.length; i += 1) {
          key = window.localStorage.key(i);
          if (key.indexOf('bbt.' + prefix) === 0) { found.push(key.slice(4)); }
        }
      } catch (e) { /* forbidden */ }
      return found;
    }
  };

  BBT.language = LANGUAGES.indexOf(BBT.store.get('language')) >= 0 ? BBT.store.get('language') : LANGUAGES[0];

  BBT.switchLanguage = function () {
    BBT.language = LANGUAGES[(LANGUAGES.indexOf(BBT.language) + 1) % LANGUAGES.length];
    BBT.store.set('language', BBT.language);
  };

  /* Takes the board's language where nobody chose one here; true if that changed it. */
  BBT.adoptLanguage = function (language) {
    if (BBT.store.get('language') !== null || LANGUAGES.indexOf(language) < 0 || language === BBT.language) { return false; }
    BBT.language = language;
    return true;
  };

  /* The sentence of `key` in the chosen language; a key that is missing shows itself, so it is seen. */
  BBT.t = function (key, values) {
    var text = BBT.messages[BBT.language][key];
    if (text === undefined) { return key; }
    return text.replace(/\{(\w+)\}/g, function (whole, name) {
      return values && values[name] !== undefined ? String(values[name]) : whole;
    });
  };

  BBT.hasText = function (key) {
    return BBT.messages[BBT.language][key] !== undefined;
  };

  /* Views by the first word of their address. `make(where)` gives {el, dock, update?, mounted?, key?, destroy?, immersive?};
     `where` is {name, parts, query}: '#/usb/K1/a%20b?x=1' is {name: 'usb', parts: ['K1', 'a b'], query: {x: '1'}}. */
  BBT.views = {};
  BBT.view = function (name, make) { BBT.views[name] = make; };

  /* h('div', {class: 'x', text: 'y', onclick: f, 'aria-label': 'z'}, [children]); text is never parsed as HTML. */
  BBT.h = function (tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) {
      var value = attributes[name];
      if (value === undefined || value === null || value === false) { return; }
      if (name === 'text') {
        element.textContent = value;
      } else if (name.slice(0, 2) === 'on') {
        element.addEventListener(name.slice(2), value);
      } else {
        element.setAttribute(name, value === true ? '' : value);
      }
    });
    (children || []).forEach(function (child) {
      if (child) { element.appendChild(child); }
    });
    return element;
  };

  /* An icon of the sprite in index.html. */
  BBT.icon = function (name, extra) {
    var svg = document.createElementNS(SVG, 'svg');
    var use = document.createElementNS(SVG, 'use');
    svg.setAttribute('class', 'icon' + (extra ? ' ' + extra : ''));
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('viewBox', '0 0 24 24');
    use.setAttribute('href', '#i-' + name);
    svg.appendChild(use);
    return svg;
  };

  /* button({icon, label, text?, class?, onclick}); `label` is what a screen reader says. */
  BBT.button = function (options) {
    var children = [];
    if (options.icon) { children.push(BBT.icon(options.icon)); }
    if (options.text) { children.push(BBT.h('span', { text: options.text })); }
    return BBT.h('button', {
      type: 'button',
      'class': 'button' + (options.text ? '' : ' button-icon') + (options['class'] ? ' ' + options['class'] : ''),
      'aria-label': options.label || options.text,
      title: options.text ? null : options.label,
      onclick: options.onclick
    }, children);
  };

  BBT.setIcon = function (button, name) {
    button.querySelector('use').setAttribute('href', '#i-' + name);
  };

  BBT.setLabel = function (button, label) {
    button.setAttribute('aria-label', label);
    button.setAttribute('title', label);
  };

  BBT.empty = function (element) {
    while (element.firstChild) { element.removeChild(element.firstChild); }
    return element;
  };

  BBT.toggle = function (element, name, on) {
    if (on) { element.classList.add(name); } else { element.classList.remove(name); }
  };

  /* Bytes as people read them: 823 KB, 1.4 GB. */
  BBT.bytes = function (count) {
    var units = ['B', 'KB', 'MB', 'GB', 'TB'], step = 0, value = Number(count) || 0;
    while (value >= 1024 && step < units.length - 1) { value /= 1024; step += 1; }
    return (value >= 10 || step === 0 ? Math.round(value) : value.toFixed(1)) + ' ' + units[step];
  };

  /* Seconds as 3:07 or 1:02:03. */
  BBT.clock = function (seconds) {
    var whole = isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : 0;
    var hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60, rest = whole % 60;
    var two = function (n) { return (n < 10 ? '0' : '') + n; };
    return hours ? hours + ':' + two(minutes) + ':' + two(rest) : minutes + ':' + two(rest);
  };

  BBT.ago = function (seconds) {
    if (seconds < 60) { return BBT.t('ago.moment'); }
    if (seconds < 3600) { return BBT.t('ago.minutes', { n: Math.floor(seconds / 60) }); }
    if (seconds < 86400) { return BBT.t('ago.hours', { n: Math.floor(seconds / 3600) }); }
    return BBT.t('ago.days', { n: Math.floor(seconds / 86400) });
  };

  BBT.clamp = function (value, low, high) {
    return Math.max(low, Math.min(high, value));
  };

  /* A page that says one thing: title, text and perhaps one button. */
  BBT.message = function (options) {
    return BBT.h('div', { 'class': 'message' + (options['class'] ? ' ' + options['class'] : '') }, [
      BBT.icon(options.icon, 'message-icon'),
      BBT.h('h2', { text: options.title }),
      options.text ? BBT.h('p', { text: options.text }) : null,
      options.more || null,
      options.button || null
    ]);
  };
}());
